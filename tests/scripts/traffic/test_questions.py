"""The questions that users ask."""

import json
from pathlib import Path

import pytest

from scripts.traffic.library import documents
from scripts.traffic.options import QUESTIONS, ROOT
from scripts.traffic.questions import Question, QuestionsError, load


def write(path: Path, content: object) -> Path:
    file = path / "questions.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_questions_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, [{"question": " B? ", "source": "b.md"}, {"question": "A?", "source": "a.md"}])
    assert load(file) == [Question("B?", "b.md"), Question("A?", "a.md")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ({"question": "A?"}, "holds no list"),
        ([{"question": "A?", "source": "a.md"}, {"question": "B?"}], "entry 2 is not"),
        ([{"question": "A?", "source": ""}], "entry 1 is not"),
        (["A?"], "entry 1 is not"),
        ([{"question": "A?", "source": "a.md"}, {"question": "A?", "source": "b.md"}], "asks twice 'A?'"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_it_is_wrong(tmp_path: Path, content: object, complaint: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(QuestionsError) as error:
        load(file)
    assert complaint in str(error.value)
    assert str(error.value).startswith(str(file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(QuestionsError, match=r"none\.json: cannot be read \(No such file"):
        load(tmp_path / "none.json")


def test_each_question_of_the_repository_names_a_document_that_is_there() -> None:
    there = {document.path for document in documents(ROOT)}
    assert [question for question in load(QUESTIONS) if question.source not in there] == []


def test_the_repository_has_at_least_forty_questions() -> None:
    assert len(load(QUESTIONS)) >= 40
