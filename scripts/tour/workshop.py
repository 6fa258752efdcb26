"""A copy of the project in which a newcomer adds a metric, a panel and an alert, and nothing real can break."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from monitoring import rules

FOLDER = ".tour"
#: The example: a rule, its tests, its page and the code of its panel.
_OWN = Path(__file__).parent / "own"
#: What is no part of the project's text, or far too large.
_patterns = shutil.ignore_patterns(
    ".git",
    ".venv",
    ".tools",
    ".run",
    FOLDER,
    ".data",
    "logs",
    "backups",
    "reports",
    "__pycache__",
    ".*_cache",
    ".coverage*",
    "pictures",
    ".env",
)


def _left_out(folder: str, names: list[str]) -> set[str]:
    secret = Path(folder).parent.name == "secrets"  # but for the page that says what belongs there
    return _patterns(folder, names) | {name for name in names if secret and name != "README.md"}


#: What `make check` holds metrics, panels and alerts to.
_TESTS = ("tests/config/test_dashboards.py", "tests/config/test_rules.py", "tests/config/test_runbooks.py")
#: What they say of the command that compares files, which has just been asked itself.
_NOT = "not the_check_fails_and_names"
_METRIC = re.compile(r'\b(?:counter|gauge|histogram|Counter|Gauge|Histogram)\(\s*"(\w+)"')


def open_copy(project: Path) -> Path:
    """A new copy of the project, without what was made in the last one."""
    copy = project / FOLDER
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(project, copy, ignore=_left_out, symlinks=True)
    (copy / ".venv").symlink_to(project / ".venv")
    return copy


def _names(project: Path) -> dict[str, set[str]]:
    code = (path.read_text(encoding="utf-8") for path in (project / "backend/app/services").glob("*.py"))
    boards = (json.loads(path.read_text(encoding="utf-8")) for path in (project / "grafana/dashboards").glob("*.json"))
    return {
        "metric": {name for text in code for name in _METRIC.findall(text)},
        "panel": {str(panel.get("title")) for board in boards for panel in board["panels"]},
        "alert": {rule.name for rule in rules.alerts(project / "prometheus/rules")},
    }


def added(project: Path, copy: Path) -> dict[str, set[str]]:
    """The names of metrics, panels and alerts that the copy has and the project has not."""
    before = _names(project)
    return {kind: names - before[kind] for kind, names in _names(copy).items()}


def check(copy: Path) -> str:
    """The first problem that the project's own checks find in the copy; empty when all is sound."""
    for command in (
        ["-m", "monitoring.dashboards", "--check"],
        ["-m", "pytest", "-q", "-x", "--no-header", "-k", _NOT, *_TESTS],
    ):
        done = subprocess.run([sys.executable, *command], cwd=copy, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            told = [line for line in done.stdout.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))]
            return "; ".join(told[:3] or lines[-3:])
    return ""


def _insert(file: Path, before: str, text: str) -> None:
    content = file.read_text(encoding="utf-8")
    if content.count(before) != 1:
        raise ValueError(f"{file} has {content.count(before)} places that read {before!r}: the tour needs just one")
    file.write_text(content.replace(before, text + before), encoding="utf-8")


def _with_greetings(found: re.Match[str]) -> str:
    return found[0] + found[0].replace("feedback_total", "greetings_total")


def make_own(copy: Path) -> None:
    """What CONTRIBUTING.md says, for a metric greetings_total, a panel Greetings and an alert GreetingsMany."""
    _insert(
        copy / "backend/app/services/metrics_service.py",
        '        self.chat_messages_total = counter("chat_messages_total"',
        '        self.greetings = counter("greetings_total", "Questions that are a greeting")\n',
    )
    overview = copy / "monitoring/dashboards/system_overview.py"
    _insert(overview, "            (8, [(24, _chat_messages())]),", "            (8, [(24, _greetings())]),\n")
    _insert(overview, "def _chat_messages()", (_OWN / "panel.txt").read_text(encoding="utf-8"))
    for folder in ("prometheus", "monitoring"):
        shutil.copytree(_OWN / folder, copy / folder, dirs_exist_ok=True)
    _insert(
        copy / "scripts/drill/drills.py",
        '    "Watchdog": "it always',
        '    "GreetingsMany": "nobody is that polite",\n',
    )
    absent = copy / "prometheus/tests/absent.yml"  # the new metric beside another, wherever that one is named
    text = re.sub(r"(?m)(?:^.*\bfeedback_total\b.*\n)+", _with_greetings, absent.read_text(encoding="utf-8"))
    absent.write_text(text, encoding="utf-8")
    for module in ("monitoring.dashboards", "monitoring.absent"):
        subprocess.run([sys.executable, "-m", module], cwd=copy, check=True, capture_output=True)
