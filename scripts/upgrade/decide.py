"""What an upgrade changes, and in which order."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

#: What others need comes first; what is not named here stands with the backend.
_GROUPS = (
    ("secrets",),
    ("mongodb", "qdrant"),
    ("prometheus", "alertmanager", "loki", "tempo", "alert-inbox"),
    ("promtail", "alloy", "docker-socket-proxy", "cadvisor", "node-exporter", "mongodb-exporter"),
    ("backend",),
    ("gateway", "grafana"),
    ("backup", "traffic"),
)
_RANK = {name: rank for rank, names in enumerate(_GROUPS) for name in names}
#: What a backup calls the store that a part owns, be it a container or a process.
STORES: dict[str, tuple[str, ...]] = {
    name: (name,) for name in ("prometheus", "alertmanager", "loki", "tempo", "grafana")
}


@dataclass(frozen=True)
class Wanted:
    """A part as the new version describes it.

    `digest` changes with its settings; `sources` are the project's files and folders that it reads; `after` the parts
    that it waits for. `by_default`: it is started without being asked for.
    """

    digest: str
    sources: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    by_default: bool = True


@dataclass(frozen=True)
class Changes:
    """The parts to start anew, in that order, each with the reason; those to remove afterwards; and the others."""

    parts: Mapping[str, str]
    gone: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)


def changes(
    running: Mapping[str, str], wanted: Mapping[str, Wanted], files: Collection[str], before: Collection[str]
) -> Changes:
    """Compares what runs (digests by name) with what is wanted.

    `files` differ between both versions. A part that does not run is new only if the version that runs does not know
    it (`before`): else it was left out on purpose.
    """
    why: dict[str, str] = {}
    for name, part in wanted.items():
        touched = sorted(file for file in files if any(_within(file, source) for source in part.sources))
        if name not in running:
            if part.by_default and name not in before:
                why[name] = "new"
        elif touched:
            why[name] = touched[0] + (f" and {len(touched) - 1} more" if touched[1:] else "")
        elif running[name] != part.digest:
            why[name] = "settings"
    order = ordered(why, {name: wanted[name].after for name in why})
    gone = ordered(running.keys() - wanted.keys(), {})
    same = ordered(running.keys() - why.keys() - set(gone), {})
    return Changes({name: why[name] for name in order}, gone, same)


def ordered(names: Iterable[str], after: Mapping[str, Collection[str]]) -> list[str]:
    """Parts in the order in which they are started: by what they are, and each after what it waits for."""
    order: list[str] = []
    waiting = sorted(names, key=lambda name: (_RANK.get(name, _RANK["backend"]), name))

    def place(name: str, above: tuple[str, ...] = ()) -> None:
        for other in waiting:
            if other in after.get(name, ()) and other not in above:
                place(other, (*above, name))
        if name not in order:
            order.append(name)

    for name in waiting:
        place(name)
    return order


def _within(file: str, source: str) -> bool:
    return file == source or file.startswith(source + "/") or source == "."
