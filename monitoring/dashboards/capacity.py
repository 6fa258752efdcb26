"""Capacity Planning: what fills, how fast, and when it will be full."""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

from monitoring.dashboards import limits, links, shapes
from monitoring.dashboards.page import environment_chooser, render
from monitoring.rules import limit

UID: Final = "capacity"

_YEAR: Final = "not within a year"
_TOO_YOUNG: Final = "A forecast needs 6 hours of figures"
_NO_NODE: Final = "No node-exporter answers"
_ONWARDS: Final = [links.dashboard("Stack Health", "stack-health"), links.error_logs()]
_RECORDED: Final = "recorded every minute by prometheus/rules/forecasts.yml, from the trend of the last 7 days"
#: What is told by a date above the fold: title, resources, what is full then, and where the limit stands.
_DATES: Final = (
    ("Disk", "disk .*", "the first of the disks that can be written to is full", "what node-exporter says of each"),
    ("Memory", "memory", "the machine's memory is in use", "what node-exporter says of it"),
    ("Processor", "processor", "the machine's processors are busy all the time", "all its cores"),
    (
        "Backend",
        "backend .*",
        "a replica has used up its memory or its core: then another one is needed",
        "mem_limit in docker-compose.yml, and one core",
    ),
    (
        "Vector Store",
        "vector store .*",
        "Qdrant has used up its memory",
        "mem_limit in docker-compose.yml",
    ),
    ("Series", "series", "Prometheus holds more series than it was made for", "PrometheusSeriesMany"),
)


def build() -> str:
    """The dashboard as the text of its file."""
    return render(
        uid=UID,
        title="Capacity Planning",
        description="What fills, how fast, and when it will be full.",
        tags=["capacity"],
        variables=[environment_chooser()],
        rows=[
            (5, [(4, _full_on(number, *told)) for number, told in enumerate(_DATES, 1)]),
            (10, [(13, _shares()), (11, _trends())]),
            "Disk and memory",
            (9, [(8, _disk()), (8, _machine()), (8, _backend_memory())]),
            "What the stack keeps of it all",
            (9, [(8, _series()), (8, _series_of_yesterday()), (8, _log_volume())]),
            "What is asked of it",
            (9, [(8, _requests()), (8, _passages()), (8, _documents())]),
        ],
        since="now-7d",
        points=2016,
    )


def _full_on(number: int, title: str, resources: str, full: str, told: str) -> model.Panel:
    about = shapes.About(
        id=number,
        title=f"{title} Full On",
        read=f"When {full}, if it goes on as in the last 7 days.",
        comes_from=f"`capacity:full:timestamp_seconds`, {_RECORDED}. The limit: {told}.",
        normal=f"“{_YEAR}”. A date is a straight line drawn onwards: the nearer it is, the more it can be trusted.",
        unit=shapes.MOMENT,
        empty=_TOO_YOUNG,
        onwards=_ONWARDS,
        limits=limits.Limits(limits.MUTED, ((0.0, limits.GOOD), (1.0, limits.WARNING))),
    )
    dates = f'capacity:full:timestamp_seconds{{resource=~"{resources}"}}'
    return shapes.number(about, f"1000 * (min({dates} > 0) or max({dates}))", words={"0": _YEAR})


def _shares() -> model.Panel:
    about = shapes.About(
        id=7,
        title="How Much of Each Is in Use?",
        read="The share of each limit that is in use. History is what Prometheus may store: full, it forgets the "
        "oldest before its time.",
        comes_from="`capacity:used:ratio`, recorded every minute; the limits as in the panel beside it.",
        normal="Below 100 %, the dashed line, and as slanted as you can live with. A saw is no trend.",
        unit=shapes.SHARE,
        empty="Nothing was recorded yet",
        onwards=_ONWARDS,
        limits=limits.too_high(1.0),
        low=0,
    )
    return shapes.time_series(about, [shapes.Line("max by (resource) (capacity:used:ratio)", "{{resource}}")])


def _trends() -> model.Panel:
    about = shapes.About(
        id=8,
        title="What Fills, and How Fast?",
        read="The share in use now, how much more each day, and what it will be in 30 days (above 100 %: full before).",
        comes_from=f"`capacity:used:…`, {_RECORDED}. There is a trend after 6 hours of figures.",
        normal="Less than 1 % a day of what cannot be made larger at once.",
        unit=shapes.SHARE,
        empty="No trend yet",
        onwards=_ONWARDS,
        decimals=1,
    )
    columns = [
        shapes.Column("sort_desc(max by (resource) (capacity:used:ratio))", "In use", shapes.SHARE),
        shapes.Column("86400 * max by (resource) (capacity:used:deriv7d)", "More a day", shapes.SHARE),
        shapes.Column("max by (resource) (capacity:used:predict30d)", "In 30 days", shapes.SHARE),
    ]
    return shapes.rows(about, shapes.Rows("resource", "Resource"), columns)


def _disk() -> model.Panel:
    warning, full = limit("DiskFullInFourDays"), limit("LowDiskSpace") / 100
    about = shapes.About(
        id=9,
        title="Will a Disk Be Full in Four Days?",
        read="The share of each disk that is free now, and that will be in four days at the pace of 6 hours. Below 0: "
        "full before that.",
        comes_from="`capacity:used:ratio` and `mountpoint:disk_free:predict4d`, from node-exporter.",
        normal=f"Both above {full:.0%}, at which LowDiskSpace fires for the disk of the logs. DiskFullInFourDays fires "
        f"when the forecast is below {warning:.0%}, and less than 40 % are free.",
        unit=shapes.SHARE,
        empty=_NO_NODE,
        onwards=_ONWARDS,
        limits=limits.too_low(warning, full),
    )
    lines = [
        shapes.Line('1 - max by (resource) (capacity:used:ratio{resource=~"disk .*"})', "{{resource}} free"),
        shapes.Line("min by (mountpoint) (mountpoint:disk_free:predict4d)", "disk {{mountpoint}} in 4 days"),
    ]
    return shapes.time_series(about, lines)


def _machine() -> model.Panel:
    share = limit("HighMemoryUsage") / 100
    about = shapes.About(
        id=10,
        title="Is the Machine Large Enough?",
        read="The share of the machine's memory and of its processors that is in use, by whomever.",
        comes_from="`capacity:used:ratio`, from node-exporter: MemAvailable, and what is not idle over 5 minutes.",
        normal=f"Memory below {share:.0%}, the dashed line, at which HighMemoryUsage fires; processors below that at "
        "the busiest hour.",
        unit=shapes.SHARE,
        empty=_NO_NODE,
        onwards=_ONWARDS,
        limits=limits.too_high(share),
        low=0,
        high=1,
    )
    machine = 'max by (resource) (capacity:used:ratio{resource=~"memory|processor"})'
    colours = {"memory": limits.NEUTRAL, "processor": limits.OTHER}
    return shapes.time_series(about, [shapes.Line(machine, "{{resource}}")], colours=colours)


def _backend_memory() -> model.Panel:
    about = shapes.About(
        id=11,
        title="Does the Backend's Memory Grow?",
        read="What each replica has taken, and what it will have in four hours at the pace of the last one.",
        comes_from="`process_resident_memory_bytes` and `instance:resident_memory_bytes:predict4h`.",
        normal="Flat after the first hour. At the dashed line, its mem_limit, a replica is killed; MemoryGrowing fires "
        "when the forecast is above it, it grows, and half is in use.",
        unit=shapes.BYTES,
        empty="No backend answers Prometheus",
        onwards=[*_ONWARDS, links.traces("Indexed documents' traces", '{ name = "index document" }')],
        limits=limits.too_high(limit("MemoryGrowing")),
        low=0,
    )
    lines = [
        shapes.Line('max by (instance) (process_resident_memory_bytes{job="backend"})', "{{instance}}"),
        shapes.Line("max by (instance) (instance:resident_memory_bytes:predict4h)", "{{instance}} in 4 hours"),
    ]
    return shapes.time_series(about, lines)


def _series() -> model.Panel:
    about = shapes.About(
        id=12,
        title="How Many Series Does Prometheus Hold?",
        read="The series in Prometheus' memory, and what of it each part brings.",
        comes_from="`prometheus_tsdb_head_series` and `scrape_samples_scraped`.",
        normal="Follows the replicas. At the dashed line PrometheusSeriesMany fires, as its mem_limit is for that.",
        unit=shapes.COUNT,
        empty="Prometheus does not answer itself",
        onwards=_ONWARDS,
        limits=limits.too_high(limit("PrometheusSeriesMany")),
        low=0,
    )
    lines = [
        shapes.Line('max(prometheus_tsdb_head_series{job="prometheus"})', "all"),
        shapes.Line('sum by (job) (scrape_samples_scraped{job=~".+"})', "{{job}}"),
    ]
    return shapes.time_series(about, lines)


def _series_of_yesterday() -> model.Panel:
    about = shapes.About(
        id=13,
        title="Who Has More Series Than Yesterday?",
        read="How many series more each target of a part exposes than a day before.",
        comes_from="`scrape_samples_scraped`, a mean over a part's targets.",
        normal=f"0, and a step with a release. At {limit('SeriesGrowth'):g}, the dashed line, SeriesGrowth fires: a "
        "label has as many values as there are users, paths or ids.",
        unit=shapes.COUNT,
        empty="No part was there a day before",
        onwards=_ONWARDS,
        limits=limits.too_high(limit("SeriesGrowth")),
    )
    now, before = (f'avg by (job) (scrape_samples_scraped{{job=~".+"}}{offset})' for offset in ("", " offset 1d"))
    return shapes.time_series(about, [shapes.Line(f"{now} - {before}", "{{job}}")])


def _amount(about: shapes.About, amount: str, *others: shapes.Line) -> model.Panel:
    lines = [
        shapes.Line(f'max by (amount) (capacity:amount:now{{amount="{amount}"}})', "now"),
        shapes.Line(f'max by (amount) (capacity:amount:predict30d{{amount="{amount}"}})', "in 30 days"),
    ]
    colours = {"now": limits.NEUTRAL, "in 30 days": limits.OTHER}
    return shapes.time_series(about, [*lines, *others], colours=colours)


_AHEAD: Final = "In 30 days: what was forecast at each moment for 30 days later."


def _log_volume() -> model.Panel:
    about = shapes.About(
        id=14,
        title="How Many Logs Are Written a Day?",
        read=f"Bytes of log lines that Loki would receive in a day at the pace of the last hour. {_AHEAD}",
        comes_from="`loki_distributor_bytes_received_total`, before compression.",
        normal="In proportion to the requests. Times LOKI_RETENTION (7 days), and a tenth to a fifth of that on disk.",
        unit=shapes.BYTES,
        empty="Loki received nothing",
        onwards=[*_ONWARDS, links.logs("Logs of this window")],
        low=0,
    )
    return _amount(about, "log bytes")


def _requests() -> model.Panel:
    about = shapes.About(
        id=15,
        title="How Many Requests, and How Many Could It Be?",
        read="Requests a second, and how many the replicas that run would answer if each used all of its core for "
        f"them, as measured now: the mix of requests that is asked, by the processor time that it takes. {_AHEAD}",
        comes_from="`job:http_requests:rate5m`, without probes and scrapes, over `process_cpu_seconds_total`.",
        normal="A distance of three times or more. The measured line needs some load: it stands from 5 % of a core on.",
        unit=shapes.REQUESTS_PER_SECOND,
        empty="No request in this window",
        onwards=[links.dashboard("Sistema Overview", "sistema-overview"), *_ONWARDS],
        low=0,
    )
    busy = 'max(capacity:used:ratio{resource="backend processor"}) > 0.05'
    return _amount(about, "requests", shapes.Line(f"sum(job:http_requests:rate5m) / ({busy})", "could be"))


def _passages() -> model.Panel:
    about = shapes.About(
        id=16,
        title="How Many Passages Are Searched?",
        read=f"The passages of all documents in Qdrant. {_AHEAD}",
        comes_from="`collection_points` of Qdrant.",
        normal="Climbs with the documents. A search takes longer as they grow: see Vector Search Performance.",
        unit=shapes.COUNT,
        empty="No Qdrant answers: the embedded store counts none",
        onwards=[links.dashboard("AI & Chat Analytics", "ai-chat-analytics"), *_ONWARDS],
        low=0,
    )
    return _amount(about, "passages")


def _documents() -> model.Panel:
    about = shapes.About(
        id=17,
        title="How Many Documents Are Added a Day?",
        read=f"Documents that were indexed within the day before. {_AHEAD}",
        comes_from="`indexing_files_processed_total`, status completed, all replicas.",
        normal="As many as people add.",
        unit=shapes.COUNT,
        empty="No backend answers Prometheus",
        onwards=[links.traces("Indexed documents' traces", '{ name = "index document" }'), *_ONWARDS],
        low=0,
    )
    return _amount(about, "documents")
