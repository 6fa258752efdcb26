"""What is wrong with Alertmanager's configuration or with Loki's rules, with file, line and reason, before a restart.

amtool names no line, and takes for granted that the files of secrets and templates are there; Loki says of a broken
rule file that it is broken only once it runs. `python -m monitoring.alerting_check` prints what is found.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from scripts.addresses import PROJECT
from scripts.receivers import CONFIG, SECRETS, ReceiverError, present, switched_on

LOKI_RULES = PROJECT / "loki" / "rules" / "fake"
#: Where the container sees SECRETS.
MOUNTED = "/run/secrets"
RULE_KEYS = {"alert", "expr", "for", "labels", "annotations"}
LABELS = {"severity"}
ANNOTATIONS = {"summary", "description", "runbook_url", "dashboard"}
SEVERITIES = {"critical", "warning", "info"}


def check_alertmanager(file: Path = CONFIG, secrets: Path = SECRETS) -> list[str]:
    """Problems of Alertmanager's configuration, with the ways on whose secrets are there."""
    text = file.read_text(encoding="utf-8")
    try:
        text = switched_on(text, present(text, secrets))
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except ReceiverError as problem:
        return [str(problem)]
    except yaml.YAMLError as error:
        return [_yaml_problem(file, error)]
    assert root is not None
    return [f"{file}:{node.start_mark.line + 1}: {reason}" for node, reason in _in_routes(root)] + [
        f"{file}:{node.start_mark.line + 1}: {reason}" for node, reason in _in_files(root, file.parent, secrets)
    ]


def _in_routes(root: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    """Names in the routing tree that nothing bears."""
    route = _child(root, "route")
    receivers = {node.value for node in _names(root, "receivers")}
    for node in _all(route, "receiver"):
        if node.value not in receivers:
            yield node, f"no receiver is called {node.value!r}: one of {', '.join(sorted(receivers))}"
    intervals = {node.value for key in ("time_intervals", "mute_time_intervals") for node in _names(root, key)}
    for key in ("mute_time_intervals", "active_time_intervals"):
        for node in _all(route, key):
            if node.value not in intervals:
                yield node, f"no time interval is called {node.value!r}: one of {', '.join(sorted(intervals))}"
    for node in _all(root, "location"):
        try:
            ZoneInfo(node.value)
        except (ZoneInfoNotFoundError, ValueError):
            yield node, f"no time zone is called {node.value!r}; they are written as Europe/Rome"


def _in_files(root: yaml.Node, folder: Path, secrets: Path) -> Iterator[tuple[yaml.Node, str]]:
    """Files that are named and are not there."""
    for node in _all(root, "templates"):
        if not list(folder.glob(node.value)):
            yield node, f"no template matches {node.value!r} in {folder}"
    for key in sorted(key for key in _every_key(root) if key.endswith("_file")):
        for node in _all(root, key):
            local = secrets / node.value.removeprefix(f"{MOUNTED}/")
            if not (local.is_file() and local.read_text(encoding="utf-8").strip()):
                yield node, f"{key}: there is no {node.value}: write the secret into {local}"


def check_loki_rules(file: Path) -> list[str]:
    """Problems of one of Loki's rule files, but for its LogQL, which Loki's own `logcli fmt` judges."""
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        return [_yaml_problem(file, error)]
    rules = [rule for group in _items(root, "groups") for rule in _items(group, "rules")]
    return [f"{file}:{node.start_mark.line + 1}: {reason}" for rule in rules for node, reason in _in_rule(rule)]


def _in_rule(rule: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    for key, _ in _pairs(rule):
        if key.value not in RULE_KEYS:
            yield key, f"a rule has no key {key.value!r}: one of {', '.join(sorted(RULE_KEYS))}"
    for part, wanted in (("labels", LABELS), ("annotations", ANNOTATIONS)):
        for name in sorted(wanted - {key.value for key, _ in _pairs(_child(rule, part))}):
            yield rule, f"the rule has no {name!r} among its {part}"
    for node in _all(rule, "severity"):
        if node.value not in SEVERITIES:
            yield node, f"no severity is called {node.value!r}: one of {', '.join(sorted(SEVERITIES))}"


def expressions(file: Path) -> list[tuple[int, str]]:
    """Each rule's line and its LogQL."""
    root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    return [(node.start_mark.line + 1, node.value) for node in _all(root, "expr")]


def _yaml_problem(file: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{file}:{mark.line + 1 if mark else 1}: {getattr(error, 'problem', error)}"


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _pairs(node) if key.value == name), None)


def _items(node: yaml.Node | None, name: str) -> list[yaml.Node]:
    child = _child(node, name)
    return list(child.value) if isinstance(child, yaml.SequenceNode) else []


def _scalars(node: yaml.Node) -> list[yaml.ScalarNode]:
    found = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return [item for item in found if isinstance(item, yaml.ScalarNode)]


def _names(root: yaml.Node, key: str) -> Iterator[yaml.ScalarNode]:
    for item in _items(root, key):
        if isinstance(name := _child(item, "name"), yaml.ScalarNode):
            yield name


def _all(node: yaml.Node | None, name: str) -> Iterator[yaml.ScalarNode]:
    """The values of a key, at any depth, lists taken apart."""
    for key, value in _pairs(node):
        if key.value == name:
            yield from _scalars(value)
        else:
            yield from _all(value, name)
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _all(item, name)


def _every_key(node: yaml.Node | None) -> set[str]:
    found = {str(key.value) for key, _ in _pairs(node)}
    children = [value for _, value in _pairs(node)] + (node.value if isinstance(node, yaml.SequenceNode) else [])
    return found.union(*(_every_key(child) for child in children))


def main() -> int:
    """Prints every problem; 1 if there is any."""
    problems = check_alertmanager() + [line for file in LOKI_RULES.glob("*.yml") for line in check_loki_rules(file)]
    print("\n".join(problems), end="\n" if problems else "")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
