"""The shortened copy: the same rules, all durations by one factor."""

import re
from pathlib import Path

import pytest
import yaml

from scripts.drill import floor, shorten
from scripts.drill.shorten import PROJECT


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shorten.copy(tmp_path_factory.mktemp("shortened") / "project", 20)


def without_times(text: str) -> str:
    return re.sub(r"\d+(ms|s|m|h|d)\b", "TIME", text)


def test_rules_keep_everything_but_their_times(copied: Path) -> None:
    before, after = floor.rules(PROJECT), floor.rules(copied)
    assert [rule.name for rule in before] == [rule.name for rule in after]
    for one, other in zip(before, after, strict=True):
        assert (other.hold, other.keep) == pytest.approx((one.hold / 20, one.keep / 20)), one.name
        assert other.evaluation == pytest.approx(one.evaluation / 20), one.name
        assert other.window == pytest.approx(one.window / 20), one.name
        assert without_times(other.expr) == without_times(one.expr)
        assert other.labels == one.labels


def test_scrapes_and_grouping_are_shortened_alike(copied: Path) -> None:
    assert floor.scrape_interval(copied) == pytest.approx(floor.scrape_interval(PROJECT) / 20)
    for severity in ("critical", "warning", "info", "escalation"):
        times = [time / 20 for time in floor.grouping(PROJECT, severity)]
        assert list(floor.grouping(copied, severity)) == pytest.approx(times)
    configs = [(root / "monitoring/alertmanager/alertmanager.yml").read_text() for root in (PROJECT, copied)]
    repeat = [shorten.seconds(yaml.safe_load(config)["route"]["repeat_interval"]) for config in configs]
    assert repeat[1] == repeat[0] / 20


def test_no_warning_waits_for_the_morning(copied: Path) -> None:
    for root, mutes in ((PROJECT, True), (copied, False)):
        assert ("mute_time_intervals" in (root / "monitoring/alertmanager/alertmanager.yml").read_text()) == mutes


def test_flags_about_alerts_are_shortened_and_the_rest_of_the_compose_file_stays(copied: Path) -> None:
    before = (PROJECT / "docker-compose.yml").read_text().splitlines()
    after = (copied / "docker-compose.yml").read_text().splitlines()
    changed = {new.split("#")[0].strip(" -") for old, new in zip(before, after, strict=True) if old != new}
    assert changed == {"rules.alert.resend-delay=750ms", "rules.alert.for-grace-period=1500ms"}


def test_limits_of_loki_stay(copied: Path) -> None:
    assert (copied / "loki/loki.yml").read_text() == (PROJECT / "loki/loki.yml").read_text()


def test_no_secret_is_copied(copied: Path) -> None:
    assert list((copied / "secrets").rglob("*")) == [copied / "secrets/alertmanager"]


def test_each_window_holds_at_least_four_scrapes(copied: Path) -> None:
    shorten.check_windows(PROJECT)
    shorten.check_windows(copied)
    rules = copied / "prometheus/rules/specified.yml"
    text = rules.read_text()
    rules.write_text(text.replace("[15000ms]", "[900ms]"))
    with pytest.raises(ValueError, match=r"specified.yml: the window 900ms holds fewer than 4 scrapes"):
        shorten.check_windows(copied)
    rules.write_text(text)


def test_the_backend_reads_its_gauges_as_often_between_two_scrapes() -> None:
    assert shorten.settings(20) == {"SAMPLE_SECONDS": "0.25", "HEALTH_CACHE_SECONDS": "0.25"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172_800), ("0s", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert shorten.seconds(text) == seconds


def test_what_is_no_duration_is_named() -> None:
    with pytest.raises(ValueError, match="'5 minutes' is no duration"):
        shorten.seconds("5 minutes")
