"""What the tour says, by language."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))


@dataclass(frozen=True)
class Text:
    """A step in words: what it is about, what to do, what helps, and what is said of it when it is done."""

    title: str
    story: str
    task: str
    hint: str
    done: str


@cache
def _read(language: str) -> Any:
    return yaml.safe_load((FOLDER / f"{language}.yml").read_text(encoding="utf-8"))


def word(language: str, name: str, **values: object) -> str:
    """One of the tour's own words, filled."""
    return str(_read(language)["words"][name]).format(**values)


def text(language: str, step: str) -> Text:
    """A step's text, its {names} not filled yet."""
    return Text(**_read(language)["steps"][step])
