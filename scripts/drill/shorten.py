"""A copy of the project's configuration in which everything goes faster, made for each run and never edited by hand.

One factor for all: `for`, `keep_firing_for`, windows, scrape and evaluation intervals, Alertmanager's group_wait,
group_interval and repeat_interval. So each window still holds as many scrapes as in the original. Only the quiet hours
are left out.
"""

import re
import shutil
from pathlib import Path

from monitoring.durations import seconds
from scripts.addresses import PROJECT
from scripts.timing import shortened

#: A minute is three seconds; the shortest interval, of scrapes, a quarter of a second.
FACTOR = 20.0
#: Fewer scrapes than this in a window, and `rate` says something else than in the original.
LEAST_SCRAPES = 4
#: What is copied. The backend's code is only pointed to: it holds no timing of alerts.
_COPIED = ("prometheus", "loki", "promtail", "tempo", "gateway", "monitoring/alertmanager", "monitoring/runbooks")
_POINTED_TO = ("backend", "scripts")
#: What is shortened whole. loki.yml and the rest hold limits and retentions, which stay.
_SHORTENED = (
    "prometheus/prometheus.yml",
    "prometheus/rules/*.yml",
    "loki/rules/*/*.yml",
    "monitoring/alertmanager/*.yml",
)
#: Prometheus' flags about alerts, in the compose file.
_FLAG = re.compile(r"--rules\.alert\.[a-z-]+=\w+")
#: By night warnings wait for the morning; a drill does not.
_QUIET = re.compile(r"(?m)^ *mute_time_intervals: .*\n")
#: Settings of the backend that decide how soon a fault shows in a gauge (seconds).
_SETTINGS = {"SAMPLE_SECONDS": 5.0, "HEALTH_CACHE_SECONDS": 5.0}
#: A window of a range vector; `[0]` is an index.
WINDOW = re.compile(r"\[((?:\d+(?:ms|[smhd]))+)\]")


def settings(factor: float) -> dict[str, str]:
    """The backend's own intervals, shortened alike."""
    return {name: f"{value / factor:g}" for name, value in _SETTINGS.items()}


def copy(place: Path, factor: float = FACTOR, project: Path = PROJECT) -> Path:
    """Writes the shortened project into `place`. Raises ValueError where a window would hold too few scrapes."""
    for name in _COPIED:
        shutil.copytree(project / name, place / name)
    for name in _POINTED_TO:
        (place / name).symlink_to(project / name)
    (place / "secrets" / "alertmanager").mkdir(parents=True)  # no secret: a drill tells nobody but alert-inbox
    compose = (project / "docker-compose.yml").read_text(encoding="utf-8")
    faster = _FLAG.sub(lambda flag: shortened(flag[0], factor), compose)
    (place / "docker-compose.yml").write_text(faster, encoding="utf-8")
    for pattern in _SHORTENED:
        for path in place.glob(pattern):
            text = _QUIET.sub("", path.read_text(encoding="utf-8"))
            path.write_text(shortened(text, factor), encoding="utf-8")
    check_windows(place)
    return place


def check_windows(project: Path) -> None:
    """Raises ValueError naming the first window that holds fewer than four scrapes."""
    text = (project / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    scrape = seconds(re.findall(r"(?m)^  scrape_interval: (\w+)", text)[0])
    for path in sorted((project / "prometheus" / "rules").glob("*.yml")):
        for window in WINDOW.findall(path.read_text(encoding="utf-8")):
            if seconds(window) / scrape < LEAST_SCRAPES:
                raise ValueError(f"{path.name}: the window {window} holds fewer than {LEAST_SCRAPES} scrapes")
