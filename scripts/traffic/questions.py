"""The questions that users ask, each with the document that answers it.

They are data, in `questions.json`: a list of `{"question": "...", "source": "docs/some.md"}`, the source as a
path from the repository's root. Adding one is adding a line there.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class QuestionsError(Exception):
    """The file of questions cannot be used; the message says which, where and why."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the repository path of the document that answers it."""

    text: str
    source: str


def _question(entry: Any, number: int, path: Path) -> Question:
    if (
        not isinstance(entry, dict)
        or set(entry) != {"question", "source"}
        or not all(isinstance(value, str) and value.strip() for value in entry.values())
    ):
        raise QuestionsError(
            f'{path}: entry {number} is not {{"question": "...", "source": "path.md"}}; correct or remove it'
        )
    return Question(entry["question"].strip(), entry["source"].strip())


def load(path: Path) -> list[Question]:
    """The questions of a JSON file, in its order. Raises `QuestionsError`."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise QuestionsError(f"{path}: cannot be read ({error.strerror}); give another with --questions") from error
    except ValueError as error:
        raise QuestionsError(f"{path}: is not JSON in UTF-8 ({error}); correct it") from error
    if not isinstance(entries, list):
        raise QuestionsError(f"{path}: holds no list; it must be a list of questions")
    questions = [_question(entry, number, path) for number, entry in enumerate(entries, start=1)]
    seen: set[str] = set()
    for question in questions:
        if question.text in seen:
            raise QuestionsError(f"{path}: asks twice {question.text!r}; remove one")
        seen.add(question.text)
    return questions
