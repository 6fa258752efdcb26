"""Both languages say the same: the same steps, the same words, the same facts to fill in."""

import string

import pytest
import yaml

from scripts.tour.steps import STEPS
from scripts.tour.texts import FOLDER, LANGUAGES

TEXTS = {language: yaml.safe_load((FOLDER / f"{language}.yml").read_text(encoding="utf-8")) for language in LANGUAGES}


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_it_speaks_english_and_italian() -> None:
    assert LANGUAGES == ("en", "it")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_step_is_told_and_nothing_else(language: str) -> None:
    assert list(TEXTS[language]["steps"]) == [step.name for step in STEPS]


@pytest.mark.parametrize("name", TEXTS["en"]["words"])
def test_a_word_has_the_same_blanks_in_both(name: str) -> None:
    assert blanks(TEXTS["it"]["words"][name]) == blanks(TEXTS["en"]["words"][name])


@pytest.mark.parametrize("step", TEXTS["en"]["steps"])
def test_a_step_has_the_same_parts_and_blanks_in_both(step: str) -> None:
    english, italian = TEXTS["en"]["steps"][step], TEXTS["it"]["steps"][step]
    assert italian.keys() == english.keys()
    assert {part: blanks(text) for part, text in italian.items()} == {
        part: blanks(text) for part, text in english.items()
    }
