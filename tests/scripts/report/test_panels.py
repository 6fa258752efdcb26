"""What is drawn is what was queried."""

import base64
import io
import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from matplotlib import image

from scripts.report.board import Window
from tests.scripts.report.conftest import DAY, END, WINDOW, ZONE, Page, Places, page, panel, points

WAVE = 'wave{kind="sine"}'
LINE = {"range": True, "legendFormat": "{{kind}}"}


def queried(address: str, query: str, step: float) -> list[tuple[float, float]]:
    """What Prometheus itself says, by its own interface."""
    parameters: dict[str, Any] = {"query": query, "start": WINDOW.start, "end": WINDOW.end, "step": step}
    found = httpx.get(f"{address}/api/v1/query_range", params=parameters, trust_env=False).json()["data"]["result"]
    return [(float(moment), float(value)) for moment, value in found[0]["values"]]


def lines(found: Page) -> list[list[list[tuple[int, int]]]]:
    """The points of every line in a page."""
    return [points(path) for path in re.findall(r'<path stroke="[^"]+" d="([^"]+)"', found.source)]


def test_a_line_goes_through_the_values_that_were_queried(places: Places, address: str) -> None:
    found = page([panel("timeseries", WAVE, query=LINE, interval="30s")], places.stores)
    low, high = (float(found.all(f"data-{end}")[0]) for end in ("low", "high"))
    expected = queried(address, WAVE, 120)  # six hours in 300 points are 72 s each: the next of Grafana's steps is 120
    ((run,),) = lines(found)
    assert len(run) == len(expected) > 50
    for (x, y), (moment, value) in zip(run, expected, strict=True):
        assert WINDOW.start + x / 1000 * WINDOW.seconds == pytest.approx(moment, abs=0.6 * WINDOW.seconds / 1000)
        assert low + (1 - y / 1000) * (high - low) == pytest.approx(value, abs=0.6 * (high - low) / 1000)
    values = [value for _, value in expected]
    assert low <= min(values)
    assert max(values) <= high


def test_the_legend_has_the_calculations_that_its_file_asks_for(places: Places, address: str) -> None:
    options = {"legend": {"calcs": ["lastNotNull", "max", "mean"]}}
    found = page([panel("timeseries", WAVE, query=LINE, options=options, interval="30s")], places.stores)
    values = [value for _, value in queried(address, WAVE, 120)]
    assert found.numbers == pytest.approx([values[-1], max(values), sum(values) / len(values)])
    assert "last max mean sine" in found.text


def test_stacked_lines_stand_on_each_other(places: Places, address: str) -> None:
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    found = page([panel("timeseries", "wave", query=LINE, defaults={"custom": custom}, interval="30s")], places.stores)
    low, high = (float(found.all(f"data-{end}")[0]) for end in ("low", "high"))
    tops = [low + (1 - run[-1][1] / 1000) * (high - low) for (run,) in lines(found)]
    first, second = (queried(address, f'wave{{kind="{kind}"}}', 120)[-1][1] for kind in ("line", "sine"))
    assert tops == pytest.approx([first, first + second], abs=(high - low) / 1000)
    assert found.numbers == pytest.approx([first, second]), "the legend tells each one's own value"


def test_a_line_is_interrupted_where_there_is_no_data(places: Places) -> None:
    found = page([panel("timeseries", "holey", query={"range": True})], places.stores)
    ((before, after),) = lines(found)
    assert after[0][0] - before[-1][0] > 30


def test_a_bar_is_as_high_as_its_value(places: Places) -> None:
    bars = panel("timeseries", "sum(increase(served_total[$__interval]))", interval="30m", query={"range": True},
                 defaults={"custom": {"drawStyle": "bars"}, "min": 0, "max": 4000})  # fmt: skip
    found = page([bars], places.stores)
    heights = re.findall(r"M-?\d+ 1000V(\d+)", found.source)
    assert [1000 - int(height) for height in heights] == pytest.approx([900] * 4, abs=2)


def test_a_day_ends_at_midnight_where_the_dashboards_are(places: Places) -> None:
    found = places.stores.prometheus.range("up", Window(END - 3 * DAY, END, ZONE), DAY)
    clocks = {datetime.fromtimestamp(moment, ZONE).hour for one in found for moment in one.times}
    assert clocks == {0}


def test_bars_begin_at_nothing(places: Places) -> None:
    custom = {"custom": {"drawStyle": "bars"}}
    bars = panel("timeseries", "holey + 100", interval="30m", query={"range": True}, defaults=custom)
    assert page([bars], places.stores).all("data-low") == ["0.0"]


def test_thresholds_are_dashed_lines_where_their_values_are(places: Places) -> None:
    steps = [{"color": "#009E73", "value": None}, {"color": "#D55E00", "value": 15.0}]
    defaults = {"min": 0, "max": 20, "thresholds": {"steps": steps}, "custom": {"thresholdsStyle": {"mode": "dashed"}}}
    found = page([panel("timeseries", WAVE, query=LINE, defaults=defaults)], places.stores)
    assert '<path class="t" stroke="#D55E00" d="M0 250h1000"/>' in found.source
    assert found.source.count('class="t"') == 1


def test_a_number_has_its_words_and_the_colour_of_its_threshold(places: Places) -> None:
    steps = [{"color": "#D55E00", "value": None}, {"color": "#009E73", "value": 40}]
    defaults = {"unit": "suffix:req", "decimals": 1, "thresholds": {"steps": steps}}
    found = page([panel("stat", 'wave{kind="line"}', query={"instant": True}, defaults=defaults)], places.stores)
    assert found.numbers == [48.0]
    assert "48.0 req" in found.text
    assert "--c:#009E73" in found.source
    mapped = {"mappings": [{"type": "value", "options": {"0": {"text": "DOWN"}, "1": {"text": "UP"}}}]}
    found = page([panel("stat", "vector(0)", query={"instant": True}, defaults=mapped)], places.stores)
    assert "DOWN" in found.text
    assert found.numbers == [0.0]


def test_a_dial_is_filled_to_the_share_of_its_scale(places: Places) -> None:
    defaults = {"unit": "percentunit", "min": 0, "max": 1}
    found = page([panel("gauge", "vector(0.719)", query={"instant": True}, defaults=defaults)], places.stores)
    assert 'stroke-dasharray="71.9 200"' in found.source
    assert "71.9%" in found.text


def test_bars_are_as_long_as_their_values(places: Places) -> None:
    query = {"instant": True, "legendFormat": "{{kind}}"}
    found = page([panel("bargauge", "wave / 2", query=query, defaults={"min": 0, "max": 48})], places.stores)
    assert found.numbers[0] == 24.0
    assert "--s:50%" in found.source
    assert "line 24" in found.text


def test_a_table_is_merged_organized_and_overridden(places: Places) -> None:
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {"kind": 0, "Value #A": 1, "Value #B": 2},
        "renameByName": {"kind": "Kind", "Value #A": "Value", "Value #B": "Dollars"},
    }
    table = panel(
        "table",
        "sum by (kind) (wave)",
        "sum by (kind) (wave) * 1000",
        query={"format": "table", "instant": True},
        transformations=[{"id": "merge", "options": {}}, {"id": "organize", "options": organize}],
        overrides=[
            {
                "matcher": {"id": "byName", "options": "Dollars"},
                "properties": [{"id": "unit", "value": "currencyUSD"}, {"id": "decimals", "value": 2}],
            },
            {
                "matcher": {"id": "byName", "options": "Kind"},
                "properties": [
                    {"id": "mappings", "value": [{"type": "value", "options": {"line": {"color": "#0072B2"}}}]},
                    {"id": "custom.cellOptions", "value": {"type": "color-text"}},
                ],
            },
        ],
    )
    found = page([table], places.stores)
    assert "Kind Value Dollars line 48 $48.00K sine" in found.text
    assert found.numbers[:2] == pytest.approx([48.0, 48_000.0])
    assert '--c:#0072B2"><span class="coloured">line' in found.source
    assert "Time" not in found.text


def test_a_heatmap_has_a_cell_for_each_bucket(places: Places) -> None:
    counts = "sum by (le) (increase(took_seconds_bucket[$__rate_interval]))"
    heat = panel("heatmap", counts, query={"range": True, "format": "heatmap"}, interval="1m",
                 options={"color": {"exponent": 0.5}}, defaults={"unit": "s"})  # fmt: skip
    found = page([heat], places.stores)
    (encoded,) = re.findall(r'href="data:image/png;base64,([^"]+)"', found.source)
    cells = image.imread(io.BytesIO(base64.b64decode(encoded)), format="png")
    assert cells.shape[0] == 3
    brightness = cells[:, -5, :3].sum(axis=1)
    assert brightness[2] > brightness[1] > brightness[0], "half of all lie in the lowest bucket, a tenth in the highest"
    assert found.numbers == pytest.approx([0.5 * 125], rel=0.05), "one a second, in windows of 125 s"
    assert "500 ms" in found.text


def test_a_histogram_has_a_bar_for_each_bucket(places: Places) -> None:
    found = page([panel("histogram", "sum by (le) (took_seconds_bucket)", query={"instant": True})], places.stores)
    assert found.numbers == pytest.approx([3600, 2880, 720])


def test_a_dot_leads_to_its_trace(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.report.stores import Exemplar, Prometheus

    dots = [Exemplar(END - 60, 12.0, "0af7651916cd43dd8448eb211c80319c"), Exemplar(END - 60, 1e9, "outside")]
    monkeypatch.setattr(Prometheus, "exemplars", lambda *_: dots)
    drawn = panel("timeseries", WAVE, query={**LINE, "exemplar": True})
    found = page([drawn], places.stores)
    assert "outside" not in found.source
    old = page([drawn], replace(places.stores, version=9))
    for version, kind in ((found, "traceql"), (old, "traceId")):
        (link,) = re.findall(r'(/explore\?left=[^"]+)"', version.source)
        left = json.loads(unquote(link.removeprefix("/explore?left=")))
        assert (left["queries"][0]["queryType"], left["queries"][0]["query"]) == (kind, dots[0].trace)
        assert left["queries"][0]["datasource"] == {"type": "tempo", "uid": "tempo"}
        assert left["range"] == {"from": f"{WINDOW.start * 1000:.0f}", "to": f"{WINDOW.end * 1000:.0f}"}


def test_traces_are_rows_with_links(places: Places) -> None:
    trace = {"traceID": "af7651916cd43dd8448eb211c80319c", "rootServiceName": "backend", "durationMs": 1500,
             "rootTraceName": "POST /api/v1/documents", "startTimeUnixNano": str(int(END * 1e9))}  # fmt: skip
    places.tempo.answers["/api/search"] = {"traces": [trace]}
    table = panel("table")
    table["targets"] = [{"datasource": {"type": "tempo"}, "query": "{ status = error }", "limit": 7}]
    found = page([table], places.stores)
    assert "0af765191" in found.text
    assert "2026-03-15 13:00:00 backend POST /api/v1/documents 1.5 s" in found.text
    assert places.tempo.asked[-1][1]["q"].startswith("{ status = error }")


def test_what_happened_meanwhile_is_marked_and_told(places: Places) -> None:
    happened = {"expr": "holey > 0", "titleFormat": "Fault {{instance}}", "iconColor": "#CC79A7"}
    found = page([panel("timeseries", WAVE, query=LINE)], places.stores, annotations=[happened])
    boxes = re.findall(r'<rect class="s" x="(\d+)" width="(\d+)"[^>]+><title>Fault a</title>', found.source)
    assert len(boxes) == 2, "before the gap and after it"
    assert int(boxes[0][0]) == pytest.approx(1000 * 4 / 6, abs=4), "the series begins after four of six hours"
    assert "Fault a 15 Mar 11:00–11:54" in found.text, "a point is valid for five minutes"  # noqa: RUF001


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (panel("timeseries", "sum(", query=LINE), "parse error"),
        (panel("piano", "up"), "panels of the kind 'piano' are not known"),
        (panel("table", "up", query={"instant": True}, transformations=[{"id": "pivot"}]), "'pivot' is not known"),
        (panel("stat", "up", query={"instant": True},
               overrides=[{"matcher": {"id": "byMoon"}, "properties": []}]), "'byMoon' are not known"),
        (panel("stat", "up", source="oracle"), "data of the kind 'oracle'"),
        (panel("stat", "up", query={"instant": True}, options={"reduceOptions": {"calcs": ["median"]}}), "'median' is"),
        (panel("heatmap", WAVE, query=LINE), "was not understood (KeyError('le'))"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_says_why_in_its_place(places: Places, broken: dict[str, Any], reason: str) -> None:
    found = page([broken, panel("stat", "vector(41)", query={"instant": True})], places.stores)
    assert "Not drawn: " in found.text
    assert reason in found.text
    assert found.numbers == [41.0], "the other panel is there"


def test_what_has_no_data_says_what_that_means(places: Places) -> None:
    found = page([panel("timeseries", "nothing", query=LINE, defaults={"noValue": "No failed job"})], places.stores)
    assert "No failed job" in found.text
