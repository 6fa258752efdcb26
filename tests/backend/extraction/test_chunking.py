"""Pieces of a document: cut where a reader would cut, and never larger than asked."""

import itertools
import random
import re

import pytest

from app.services import chunking
from app.services.chunking import chunk
from app.services.extraction import Extracted, Limits, RejectedDocument, Section, extract

SENTENCES = [f"Sentence number {number} says something of its own." for number in range(60)]


def document(*sections: Section) -> Extracted:
    return Extracted.of("Title", sections)


def test_a_short_section_is_one_piece_with_its_heading() -> None:
    pieces = chunk(document(Section("Hours", "From 9 to 5."), Section("", "Closed on Sunday.")))
    assert [(piece.heading, piece.text, piece.index) for piece in pieces] == [
        ("Hours", "From 9 to 5.", 0),
        ("", "Closed on Sunday.", 1),
    ]


def test_no_piece_spans_two_headings() -> None:
    pieces = chunk(document(*(Section(f"H{number}", f"t{number}") for number in range(30))))
    assert [piece.text for piece in pieces] == [f"t{number}" for number in range(30)]


def test_paragraphs_are_kept_whole_where_they_fit() -> None:
    paragraphs = [f"{letter * 30} {letter * 30}" for letter in "abcdef"]
    pieces = chunk(document(Section("", "\n\n".join(paragraphs))), max_chars=130, overlap=0)
    assert [piece.text for piece in pieces] == ["\n\n".join(paragraphs[at : at + 2]) for at in (0, 2, 4)]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    pieces = chunk(document(Section("", " ".join(SENTENCES))), max_chars=200, overlap=0)
    assert len(pieces) > 10
    assert all(piece.text.endswith("own.") and piece.text.startswith("Sentence") for piece in pieces)
    assert " ".join(piece.text for piece in pieces) == " ".join(SENTENCES)


def test_rows_are_cut_between_lines() -> None:
    rows = [f"name: Person {number}; city: City {number}" for number in range(50)]
    pieces = chunk(document(Section("", "\n".join(rows))), max_chars=200, overlap=0)
    assert [line for piece in pieces for line in piece.text.split("\n")] == rows


def test_a_long_sentence_is_cut_between_words() -> None:
    words = [f"word{number}" for number in range(300)]
    pieces = chunk(document(Section("", " ".join(words))), max_chars=100, overlap=0)
    assert [word for piece in pieces for word in piece.text.split()] == words


def test_only_a_word_longer_than_a_piece_is_cut_inside() -> None:
    pieces = chunk(document(Section("", f"before {'x' * 250} after")), max_chars=100, overlap=20)
    assert [piece.text for piece in pieces] == ["before", "x" * 100, "x" * 100, "x" * 50 + " after"]


def test_pieces_overlap_by_a_whole_sentence_where_one_fits() -> None:
    pieces = chunk(document(Section("", " ".join(SENTENCES))), max_chars=200, overlap=60)
    for before, after in itertools.pairwise(pieces):
        shared = re.split(r"(?<=\.) ", after.text)[0]
        assert before.text.endswith(shared)


def test_pieces_overlap_by_whole_words_otherwise() -> None:
    words = [f"word{number}" for number in range(300)]
    pieces = chunk(document(Section("", " ".join(words))), max_chars=100, overlap=30)
    for before, after in itertools.pairwise(pieces):
        shared = [word for word in after.text.split() if word in before.text.split()]
        assert 1 <= len(" ".join(shared)) <= 30
        assert before.text.split()[-len(shared) :] == shared


def test_a_word_that_just_fits_the_overlap_is_repeated() -> None:
    pieces = chunk(document(Section("", "aaaa bbbb cccc dddd")), max_chars=14, overlap=4)
    assert [piece.text for piece in pieces] == ["aaaa bbbb cccc", "cccc dddd"]


def test_a_document_of_headings_alone_can_be_found() -> None:
    pieces = chunk(document(Section("Chapter one", ""), Section("Chapter two", "")))
    assert [(piece.heading, piece.text) for piece in pieces] == [("", "Chapter one\n\nChapter two")]


def test_headings_without_text_among_others_make_no_piece() -> None:
    pieces = chunk(document(Section("Part", ""), Section("Chapter", "text")))
    assert [(piece.heading, piece.text) for piece in pieces] == [("Chapter", "text")]


def test_whatever_the_text_pieces_are_small_numbered_and_lose_no_word() -> None:
    source = random.Random(7)
    for _ in range(200):
        text = "".join(source.choices(["word", "x" * 40, " ", "\n", "\n\n", ". ", "! ", "東京。"], k=200))
        found = document(Section("", text))
        pieces = chunk(found, max_chars=60, overlap=source.choice([0, 15]))
        assert [piece.index for piece in pieces] == list(range(len(pieces)))
        assert all(0 < len(piece.text) <= 60 and piece.text == piece.text.strip() for piece in pieces)
        joined = "".join("".join(piece.text.split()) for piece in pieces)
        assert len(joined) >= len("".join(found.text.split()))
        assert chunk(found, max_chars=60, overlap=15) == chunk(found, max_chars=60, overlap=15)


def test_the_number_of_pieces_is_bounded() -> None:
    headings = b"# heading\ntext\n" * (chunking.MAX_PIECES + 1)
    with pytest.raises(RejectedDocument, match=r"more than 6,000 pieces \(reached under \"heading\"\)") as caught:
        chunk(extract(headings, "markdown", Limits()))
    assert caught.value.reason == "too_long"


def test_the_longest_document_that_is_read_stays_below_the_bound() -> None:
    text = ("A sentence of an ordinary length, as they come in manuals and books. " * 30_000)[:2_000_000]
    assert len(chunk(document(Section("", text)))) < chunking.MAX_PIECES


@pytest.mark.parametrize(("max_chars", "overlap"), [(100, 50), (100, -1), (0, 0)])
def test_sizes_that_cannot_be_are_refused(max_chars: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap must be from 0 to less than half of max_chars"):
        chunk(document(Section("", "text")), max_chars, overlap)
