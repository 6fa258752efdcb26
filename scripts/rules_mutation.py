"""`python -m scripts.rules_mutation`: would a test notice a mistake in an alert's rule?

Each mutant is one rule with one mistake: a limit ten times too high or too low, no `for`, a label renamed or a matcher
left out. promtool runs the tests of that alert over it, and at least one has to fail. A mutant that no test notices
survives: it is named, and the exit status is 1. The files themselves are never touched.
"""

import argparse
import copy
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.progress import track

from monitoring.rules import COMPARISON
from scripts.addresses import PROJECT
from scripts.local.lookup import look

FOLDER: Final = PROJECT / "prometheus"

_MATCHER: Final = re.compile(r"(?P<matcher>(?P<label>\w+)(?P<operator>=~|!~|!=|=)\"[^\"]*\")")
_GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left)\s*\((?P<labels>[^)]+)\)")

#: A test that got something else, or a rule that could not be evaluated; else promtool did not come as far as that.
_FAILED_TEST: Final = re.compile(r"\bgot:|\brule: .+, time: .+, err: ")


class MutationError(Exception):
    """The check itself cannot be carried out; the message says why."""


@dataclass(frozen=True)
class Mutant:
    """One rule file with one mistake in it. `alert` is empty where the rule records: then every test counts."""

    file: str
    rule: str
    alert: str
    kind: str
    mistake: str
    rules: Any


def mutants(file: str, document: Any) -> Iterator[Mutant]:
    """Every mutant of one rule file."""
    for group, rules in enumerate(document["groups"]):
        for number, rule in enumerate(rules["rules"]):
            for kind, mistake, changed in _mistakes(rule):
                mutated = copy.deepcopy(document)
                mutated["groups"][group]["rules"][number] = changed
                alert = rule.get("alert", "")
                yield Mutant(file, alert or rule["record"], alert, kind, mistake, mutated)


def _mistakes(rule: Any) -> Iterator[tuple[str, str, Any]]:
    """The kind of a mistake, what it is, and the rule with it."""
    expr = rule["expr"]
    if "alert" in rule:
        for found in COMPARISON.finditer(expr):
            for number in _wrong_limits(found["operator"], found["number"]):
                yield "limit", f"{found[0]} -> {number}", rule | {"expr": _replace(expr, found, "number", number)}
        if "for" in rule:
            yield "for", f"no for: {rule['for']}", {key: value for key, value in rule.items() if key != "for"}
    for found in _MATCHER.finditer(expr):
        if not found["operator"].startswith("!"):
            renamed = _replace(expr, found, "label", found["label"] + "_renamed")
            yield "label", f"{found['label']} renamed at {found.start()}", rule | {"expr": renamed}
    # Everywhere at once: where two series are joined, the matcher of one does for both. To rename the label of a
    # negated matcher is to leave it out.
    for matcher in sorted({found["matcher"] for found in _MATCHER.finditer(expr)}):
        yield "matcher", f"without {matcher}", rule | {"expr": re.sub(re.escape(matcher) + r"(, )?", "", expr)}
    for grouping in _GROUPING.finditer(expr):
        for label in re.finditer(r"\w+", grouping["labels"]):
            start = grouping.start("labels")
            changed = expr[: start + label.end()] + "_renamed" + expr[start + label.end() :]
            yield "label", f"{grouping[0]}: {label[0]} renamed", rule | {"expr": changed}
    for name in rule.get("labels", {}):
        labels = {key + ("_renamed" if key == name else ""): value for key, value in rule["labels"].items()}
        yield "label", f"label {name} renamed", rule | {"labels": labels}


def _wrong_limits(operator: str, number: str) -> tuple[str, ...]:
    """Limits at which the rule says something else. Ten times nothing is nothing, so that 0 becomes 1 and -1."""
    value = float(number)
    if value == 0:
        return ("1", "-1") if operator in ("==", "!=") else ("10", "-1")
    return f"{value * 10:g}", f"{value / 10:g}"


def _replace(text: str, found: re.Match[str], group: str, new: str) -> str:
    return text[: found.start(group)] + new + text[found.end(group) :]


def survives(mutant: Mutant, promtool: str, folder: Path) -> bool:
    """Whether every test of the alert passes in spite of the mistake.

    Raises MutationError where promtool does not get as far as the tests.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copytree(folder / "rules", place / "rules")
        (place / "rules" / mutant.file).write_text(yaml.safe_dump(mutant.rules), encoding="utf-8")
        (place / "tests").mkdir()
        # One file of tests, or several where some take long: the first that notices is enough.
        files = (folder / "tests").glob(mutant.file.replace(".yml", "*.yml"))
        for file in sorted(files, key=lambda path: len(path.name)):
            if _notices(mutant, file, place / "tests" / file.name, promtool):
                return False
    return True


def _notices(mutant: Mutant, file: Path, copied: Path, promtool: str) -> bool:
    tests = yaml.safe_load(file.read_text(encoding="utf-8"))
    tests["tests"] = [test for test in tests["tests"] if _concerns(test, mutant.alert)]
    copied.write_text(yaml.safe_dump(tests), encoding="utf-8")
    answer = subprocess.run([promtool, "test", "rules", str(copied)], capture_output=True, text=True, check=False)
    said = answer.stdout + answer.stderr
    if answer.returncode and not _FAILED_TEST.search(said):
        raise MutationError(f"promtool does not run {file.name} with {mutant.rule}, {mutant.mistake}:\n{said.strip()}")
    return answer.returncode != 0


def _concerns(test: Any, alert: str) -> bool:
    return not alert or alert in [check["alertname"] for check in test.get("alert_rule_test", [])]


def find_promtool() -> str:
    """promtool on PATH, in TOOLS_PATH's folders or below .tools/. Raises MutationError where there is none."""
    found = look("promtool", PROJECT / ".tools")
    if found is None:
        raise MutationError("promtool is not here: put it on PATH, or name its folder in TOOLS_PATH")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Prints the number of mutants and the survivors. Returns 0 when none survives."""
    parser = argparse.ArgumentParser(prog="python -m scripts.rules_mutation", description=__doc__)
    parser.add_argument("--alert", help="this alert alone")
    parser.add_argument("--file", help="this file below prometheus/rules/ alone")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where rules/ and tests/ are")
    options = parser.parse_args(arguments)
    made = [
        mutant
        for path in sorted((options.folder / "rules").glob("*.yml"))
        for mutant in mutants(path.name, yaml.safe_load(path.read_text(encoding="utf-8")))
        if options.alert in (None, mutant.alert) and options.file in (None, mutant.file)
    ]
    if not made:
        print(f"no rule is called {options.alert or options.file}", file=sys.stderr)
        return 1
    try:
        promtool = find_promtool()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            judged = pool.map(lambda mutant: survives(mutant, promtool, options.folder), made)
            verdicts = list(track(judged, "mutants", total=len(made), console=Console(stderr=True)))
    except MutationError as error:
        print(error, file=sys.stderr)
        return 1
    alive = [mutant for mutant, lives in zip(made, verdicts, strict=True) if lives]
    for mutant in alive:
        print(f"{mutant.file}: {mutant.rule}: {mutant.mistake}: no test notices")
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(mutant.kind for mutant in made).items())
    print(f"{len(made)} mutants of {len({mutant.rule for mutant in made})} rules ({kinds}): {len(alive)} survive")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
