"""Which version of the project runs, and which is checked out. Standard library alone: `make up` keeps it, too.

What runs is known by a ref of this clone: it outlives restarts and removed folders, keeps its commit from being
collected, and stands in no container, where it would change each one's configuration.
"""

import contextlib
import re
import subprocess
from pathlib import Path

from scripts.addresses import PROJECT

#: The commit that what runs was started from, and the one that an upgrade, which may have been cut off, goes to.
RUNS, NEXT = "refs/worktree/specola-runs", "refs/worktree/specola-next"


class UpgradeError(Exception):
    """Why an upgrade cannot go on; the message says what is wrong, where, and what to do."""


def git(*arguments: str) -> str:
    """What git prints. Raises UpgradeError with what it objects to."""
    try:
        answer = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UpgradeError("git is not here: an upgrade goes from one commit to another") from None
    if answer.returncode:
        raise UpgradeError(f"git {' '.join(arguments)}: {answer.stderr.strip()}")
    return answer.stdout.strip()


def commit(name: str) -> str:
    """The commit that a tag, a branch or an id stands for; empty if there is none."""
    try:
        return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except UpgradeError:
        return ""


def shown(commit: str) -> str:
    """A commit as a person calls it: its tag or id, and the version that it says it is."""
    described = git("describe", "--tags", "--always", commit)
    try:
        version = re.search(r'^version = "(.+)"', git("show", f"{commit}:pyproject.toml"), re.MULTILINE)
    except UpgradeError:
        version = None
    return f"{described} ({version[1]})" if version and version[1] not in described else described


def keep(over: bool) -> None:
    """Remembers what is checked out as what runs; unless `over`, only if nothing is remembered.

    Files that are changed and not committed are part of it. Nothing is done where this is no clone of its own.
    """
    with contextlib.suppress(UpgradeError):
        if git("rev-parse", "--show-prefix") == "" and (over or not commit(RUNS)):
            someone = ("-c", "user.name=specola", "-c", "user.email=specola@localhost")
            git("update-ref", RUNS, git(*someone, "stash", "create") or "HEAD")


def forget(ref: str = RUNS) -> None:
    """Nothing runs any more."""
    with contextlib.suppress(UpgradeError):
        git("update-ref", "-d", ref)


def dirty() -> list[str]:
    """The files of the project that are changed and not committed."""
    return git("diff", "--name-only", "HEAD").splitlines()


def runs(given: str) -> str:
    """The commit that runs: `given`, else what was remembered. Raises UpgradeError if that is not known."""
    if given and not commit(given):
        raise UpgradeError(f"FROM={given} is no tag, branch or commit of this clone: `git tag` lists the tags")
    if found := commit(given or RUNS):
        return found
    raise UpgradeError(
        "It is not known which version runs, as it was not `make up` of this clone that started it, so there would be "
        "no way back: name its tag or commit, make upgrade FROM=v1.0.0 (`git tag`, `git reflog`)"
    )


def changed_files(old: str) -> set[str]:
    """What differs between what runs and what is checked out; after an upgrade that was cut off, from either."""
    since = [old, *filter(None, [commit(NEXT)])]
    return {line for one in since for line in git("diff", "--name-only", "--no-renames", one, "HEAD").splitlines()}


def services(commit: str, files: list[str]) -> set[str]:
    """The names of the services that these compose files described in a commit."""
    import yaml

    names: set[str] = set()
    for file in files:
        try:
            root = yaml.compose(git("show", f"{commit}:{file}"))  # nodes: its tags (`!reset`) mean nothing here
        except UpgradeError:
            continue  # it was not there
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            if key.value == "services":
                names |= {name.value for name, _ in value.value}
    return names


def lock_file() -> Path:
    """What one upgrade at a time holds."""
    return PROJECT / git("rev-parse", "--git-path", "specola-upgrade.lock")
