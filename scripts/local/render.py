"""Config files written for containers, rendered for local processes.

YAML is changed in its tree of nodes, not in its text, so that a path may hold any character, and not in Python
values either, so that what looks like a number or a time stays written as it was.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from scripts.local.compose import ComposeError, Mount, Service
from scripts.local.substitute import Folders, Substitution

_DISCOVERY = "dns_sd_configs"
_NULL = "tag:yaml.org,2002:null"
_STRING = "tag:yaml.org,2002:str"
_SEQUENCE = "tag:yaml.org,2002:seq"


@dataclass
class LeftOut:
    """What was left out of the config files, because the service that it is about does not run here."""

    jobs: set[str] = field(default_factory=set)
    alerts: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Renderer:
    """Renders the config files of one service. `runs` and `described` are names of services."""

    substitution: Substitution
    runs: frozenset[str]
    described: frozenset[str]
    left_out: LeftOut

    def document(self, text: str, where: str) -> str:
        """A YAML file for local processes. Raises ComposeError where it is not valid."""
        try:
            documents = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
        except yaml.YAMLError as error:
            raise ComposeError(f"{where} is not valid YAML: {error}") from error
        for root in documents:
            if isinstance(root, yaml.MappingNode):
                self._leave_out_jobs(root)
                self._leave_out_rules(root)
            nodes = {id(node): node for node in _walk(root)}.values()  # an anchor's node is met more than once
            for mapping in [node for node in nodes if isinstance(node, yaml.MappingNode)]:
                self._discover(mapping)
            for scalar in _values(root):
                # `key: ` with nothing behind it would be written as `!!null ''`, which not every reader knows.
                empty = scalar.tag == _NULL and not scalar.value
                scalar.value = "null" if empty else self.substitution.config(scalar.value)
        return str(yaml.serialize_all(documents, width=10_000, allow_unicode=True))

    def _absent(self, name: str) -> bool:
        return name in self.described and name not in self.runs

    def _leave_out_jobs(self, root: yaml.MappingNode) -> None:
        jobs = _get(root, "scrape_configs")
        if not isinstance(jobs, yaml.SequenceNode):
            return
        kept = []
        for job in jobs.value:
            name = _text(job, "job_name")
            if not self._absent(name) and self._has_target(job):
                kept.append(job)
            elif name in self.described:
                self.left_out.jobs.add(name)
        jobs.value = kept

    def _has_target(self, job: yaml.Node) -> bool:
        """Whether anything that runs here is left for a job to scrape."""
        if not isinstance(job, yaml.MappingNode):
            return True  # not ours to judge: Prometheus says what is wrong with it
        for group in _items(job, "static_configs"):
            targets = _get(group, "targets")
            if isinstance(targets, yaml.SequenceNode):
                targets.value = [node for node in targets.value if not self._absent(_host(node))]
                if targets.value:
                    return True
        if any(self._names(discovery) for discovery in _items(job, _DISCOVERY)):
            return True
        return any(key.value.endswith("_sd_configs") and key.value != _DISCOVERY for key, _ in job.value)

    def _names(self, discovery: yaml.Node) -> list[str]:
        """The services that a DNS discovery finds here."""
        names = [str(node.value).removeprefix("tasks.") for node in _items(discovery, "names")]
        return [name for name in names if name in self.runs]

    def _discover(self, mapping: yaml.MappingNode) -> None:
        """Put the one local target in place of a DNS discovery."""
        discoveries = list(_items(mapping, _DISCOVERY))
        if not discoveries:
            return
        targets = [
            self.substitution.address(name, int(_text(discovery, "port")))
            for discovery in discoveries
            for name in self._names(discovery)
        ]
        static = list(_items(mapping, "static_configs"))
        if targets:
            static.append(_static_config(targets))
        mapping.value = [pair for pair in mapping.value if pair[0].value not in (_DISCOVERY, "static_configs")]
        key = yaml.ScalarNode(_STRING, "static_configs")
        mapping.value.append((key, yaml.SequenceNode(_SEQUENCE, static)))

    def _leave_out_rules(self, root: yaml.MappingNode) -> None:
        for group in _items(root, "groups"):
            rules = _get(group, "rules")
            if isinstance(rules, yaml.SequenceNode):
                rules.value = [rule for rule in rules.value if not self._about_absent(rule)]

    def _about_absent(self, rule: yaml.Node) -> bool:
        labels = _get(rule, "labels")
        if labels is None or not any(self._absent(_text(labels, key)) for key in ("watches", "service")):
            return False
        name = _text(rule, "alert") or _text(rule, "title")  # Prometheus' and Loki's key, and Grafana's
        if name:
            self.left_out.alerts.add(name)
        return True


def render_service(service: Service, folders: Folders, renderer: Renderer) -> dict[str, str]:
    """Write the service's config files below .run/config/, and remove what no longer belongs there.

    Returns their contents by path. Raises ComposeError.
    """
    written: dict[Path, str] = {}
    for mount in service.mounts:
        if folders.is_config(mount):
            written |= _render_mount(folders.source(mount), folders.rendered(service.name, mount.target), renderer)
    _tidy(folders.rendered(service.name, ""), set(written))
    return {str(path): content for path, content in written.items()}


def missing_sources(service: Service, folders: Folders) -> list[Mount]:
    """The bind mounts whose file or folder is not there."""
    return [m for m in service.mounts if not m.is_volume and not folders.source(m).exists()]


def _render_mount(source: Path, target: Path, renderer: Renderer) -> dict[Path, str]:
    pairs = [(source, target)]
    if source.is_dir():
        pairs = [(file, target / file.relative_to(source)) for file in source.rglob("*") if file.is_file()]
        target.mkdir(parents=True, exist_ok=True)
    return {copy: _render_file(file, copy, renderer) for file, copy in pairs}


def _render_file(source: Path, target: Path, renderer: Renderer) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    if source.suffix in (".yml", ".yaml"):
        content = renderer.document(content.decode(), str(source)).encode()
    if not target.is_file() or target.read_bytes() != content:
        target.write_bytes(content)
    return content.decode(errors="replace")


def _tidy(folder: Path, wanted: set[Path]) -> None:
    """Remove rendered files whose source is gone: a rule that was deleted must not go on firing."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()) and not any(w.is_relative_to(path) for w in wanted):
            shutil.rmtree(path)


def _walk(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _walk(key)
            yield from _walk(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _walk(item)


def _values(root: yaml.Node) -> list[yaml.ScalarNode]:
    """Every scalar that is not a key, once."""
    keys = {id(key) for node in _walk(root) if isinstance(node, yaml.MappingNode) for key, _ in node.value}
    scalars = {id(node): node for node in _walk(root) if isinstance(node, yaml.ScalarNode)}
    return [node for identity, node in scalars.items() if identity not in keys]


def _get(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _items(node: yaml.Node | None, key: str) -> list[yaml.Node]:
    found = _get(node, key)
    return list(found.value) if isinstance(found, yaml.SequenceNode) else []


def _text(node: yaml.Node | None, key: str) -> str:
    found = _get(node, key)
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""


def _static_config(targets: list[str]) -> yaml.Node:
    strings = [yaml.ScalarNode(_STRING, target) for target in targets]
    pair = (yaml.ScalarNode(_STRING, "targets"), yaml.SequenceNode(_SEQUENCE, strings))
    return yaml.MappingNode("tag:yaml.org,2002:map", [pair])


def _host(target: yaml.Node) -> str:
    return str(target.value).rpartition(":")[0]
