"""Capacity Planning: a day of steady growth of a disk, of a backend's memory and of what is searched."""

from statistics import linear_regression

from tests.config.dashboards.numbers import A, B, Known, constant, growing, rising

#: Minutes since the first sample, of a day, and of the 30 days that are foretold.
NOW, DAY, LATER = 26 * 60, 1440, 30 * 1440
SAMPLES = NOW + 5
NODE, QDRANT, PROMETHEUS = (f'job="{job}", instance="{job}:1"' for job in ("node-exporter", "qdrant", "prometheus"))
DISK = f'{NODE}, mountpoint="/", fstype="ext4"'
LIMIT = 536_870_912
#: In use now, and more of it each minute.
USED = {
    "disk /": (0.5 + 0.0001 * NOW, 0.0001),
    "memory": (0.7, 0),
    "processor": (0.2, 0),
    "backend memory": ((1e8 + 1e5 * NOW) / LIMIT, 1e5 / LIMIT),
    "backend processor": (0.5, 0),
    "vector store memory": (2e8 / LIMIT, 0),
    "series": (0.2, 0),
    "history": (0.25, 0),
}


def of(resource: str) -> str:
    return f'resource="{resource}"'


def full(resource: str) -> float:
    """When all is in use, in milliseconds since the first sample."""
    used, more = USED[resource]
    return 60_000 * (NOW + (1 - used) / more)


def foretold(window: int, pace: float) -> float:
    """In 30 days, for a pace over so many minutes that began with the first sample.

    Of what is recorded every four minutes: until the window is full, only a part of the pace is seen.
    """
    minutes = range(4, NOW + 1, 4)
    slope, begin = linear_regression(minutes, [pace * min(1, (minute + 0.5) / window) for minute in minutes])
    return begin + slope * (NOW + LATER)


GROWS = {name: (more, used + LATER * more) for name, (used, more) in USED.items()}


def amount(name: str, now: float, later: float) -> tuple[dict[str, float], dict[str, float]]:
    return {f'amount="{name}"': now}, {f'amount="{name}"': later}


KNOWN = Known(
    at="26h",
    step="1m",
    recorded_every="4m",
    series={
        **constant("node_filesystem_size_bytes", DISK, 1e12, SAMPLES),
        **rising("node_filesystem_avail_bytes", DISK, 5e11, -1e8, SAMPLES),
        **constant("node_filesystem_readonly", DISK, 0, SAMPLES),
        **constant("node_memory_MemAvailable_bytes", NODE, 3e9, SAMPLES),
        **constant("node_memory_MemTotal_bytes", NODE, 1e10, SAMPLES),
        **growing("node_cpu_seconds_total", f'{NODE}, cpu="0", mode="idle"', 54, SAMPLES),
        **growing("node_cpu_seconds_total", f'{NODE}, cpu="1", mode="idle"', 42, SAMPLES),
        **growing("node_cpu_seconds_total", f'{NODE}, cpu="1", mode="user"', 18, SAMPLES),
        **rising("process_resident_memory_bytes", A, 1e8, 1e5, SAMPLES),
        **constant("process_resident_memory_bytes", B, 9e7, SAMPLES),
        **growing("process_cpu_seconds_total", A, 30, SAMPLES),
        **growing("process_cpu_seconds_total", B, 15, SAMPLES),
        **constant("memory_resident_bytes", QDRANT, 2e8, SAMPLES),
        **rising("collection_points", QDRANT, 5000, 1, SAMPLES),
        **constant("prometheus_tsdb_head_series", PROMETHEUS, 20_000, SAMPLES),
        **constant("prometheus_tsdb_storage_blocks_bytes", PROMETHEUS, 1e9, SAMPLES),
        **constant("prometheus_tsdb_retention_limit_bytes", PROMETHEUS, 4e9, SAMPLES),
        # Another replica's worth since eleven hours ago.
        f"scrape_samples_scraped{{{A}}}": "1600x900 1800x700",
        **constant("scrape_samples_scraped", B, 1700, SAMPLES),
        **constant("scrape_samples_scraped", QDRANT, 90, SAMPLES),
        **growing("loki_distributor_bytes_received_total", 'job="loki", instance="loki:1"', 60_000, SAMPLES),
        **growing("http_requests_total", f'{A}, endpoint="/api/v1/chat", status="200"', 60, SAMPLES),
        **growing("http_requests_total", f'{B}, endpoint="/api/v1/chat", status="200"', 60, SAMPLES),
        **growing("indexing_files_processed_total", f'{A}, format="pdf", status="completed"', 1, SAMPLES),
    },
    panels={
        "Disk Full On": (full("disk /"),),
        "Memory Full On": (0,),
        "Processor Full On": (0,),
        "Backend Full On": (full("backend memory"),),
        "Vector Store Full On": (0,),
        "Series Full On": (0,),
        "How Much of Each Is in Use?": ({of(name): used for name, (used, _) in USED.items()},),
        "What Fills, and How Fast?": (
            {of(name): used for name, (used, _) in USED.items()},
            {of(name): DAY * more for name, (more, _) in GROWS.items()},
            {of(name): max(0, later) for name, (_, later) in GROWS.items()},
        ),
        "Will a Disk Be Full in Four Days?": (
            {of("disk /"): 1 - USED["disk /"][0]},
            {'mountpoint="/"': 1 - USED["disk /"][0] - 0.0001 * 4 * DAY},
        ),
        "Is the Machine Large Enough?": ({of("memory"): 0.7, of("processor"): 0.2},),
        "Does the Backend's Memory Grow?": (
            {'instance="a:8000"': 1e8 + 1e5 * NOW, 'instance="b:8000"': 9e7},
            {'instance="a:8000"': 1e8 + 1e5 * (NOW + 240), 'instance="b:8000"': 9e7},
        ),
        "How Many Series Does Prometheus Hold?": (20_000, {'job="backend"': 3500, 'job="qdrant"': 90}),
        "Who Has More Series Than Yesterday?": ({'job="backend"': 100, 'job="qdrant"': 0},),
        "How Many Logs Are Written a Day?": amount("log bytes", 86.4e6, foretold(60, 86.4e6)),
        "How Many Requests, and How Many Could It Be?": (*amount("requests", 2, 2), 4),
        "How Many Passages Are Searched?": amount("passages", 5000 + NOW, 5000 + NOW + LATER),
        "How Many Documents Are Added a Day?": amount("documents", DAY, foretold(DAY, DAY)),
    },
)
