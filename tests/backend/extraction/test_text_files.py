"""Plain text and Markdown, and the encodings of all formats that are text."""

import pytest

from app.services.extraction import Format, Limits, Section, extract, validate

from .conftest import Refusals

TEXTUAL: list[Format] = ["text", "markdown", "html", "csv"]


def test_plain_text_is_one_section_without_title(limits: Limits) -> None:
    found = extract(b"First line.\nSecond line.\n\nAnother paragraph.\n", "text", limits)
    assert found.title == ""
    assert found.text == "First line.\nSecond line.\n\nAnother paragraph."
    assert found.sections == [Section("", found.text)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_marked_utf_16_are_read(encoding: str, limits: Limits) -> None:
    content = "Caffè ½ € 東京 🙂".encode(encoding)
    validate(content, "text", limits)
    assert extract(content, "text", limits).text == "Caffè ½ € 東京 🙂"


def test_big_endian_utf_16_is_read_by_its_mark(limits: Limits) -> None:
    assert extract(b"\xfe\xff\x00h\x00i", "text", limits).text == "hi"


@pytest.mark.parametrize("format", TEXTUAL)
def test_another_encoding_is_refused_with_the_place(format: Format, refused: Refusals) -> None:
    error = refused.at_once("one\ntwo\ncaffè".encode("latin-1"), format)
    assert error.reason == "encoding"
    assert "0xe8 at offset 12 (line 3) is not valid UTF-8" in str(error)
    assert "save the file as UTF-8" in str(error)


def test_utf_16_that_is_cut_off_is_refused(refused: Refusals) -> None:
    error = refused.at_once("hello".encode("utf-16")[:-1], "text")
    assert error.reason == "encoding"
    assert "offset 10 (line 1) is not valid UTF-16" in str(error)


def test_utf_16_without_a_mark_is_refused_for_its_nuls(refused: Refusals) -> None:
    error = refused.at_once("a\nhello".encode("utf-16-be"), "text")
    assert error.reason == "encoding"
    assert "NUL at character 0 (line 1)" in str(error)
    assert "without a byte order mark" in str(error)


def test_utf_32_is_refused_by_name(refused: Refusals) -> None:
    error = refused.at_once("hello".encode("utf-32"), "text")
    assert error.reason == "encoding"
    assert "UTF-32" in str(error)


def test_half_a_surrogate_pair_is_not_utf_8(refused: Refusals) -> None:
    assert refused.at_once(b"a\xed\xa0\x80b", "text").reason == "encoding"


@pytest.mark.parametrize("format", [*TEXTUAL, "json", "pdf"])
def test_an_empty_file_is_refused(format: Format, refused: Refusals) -> None:
    error = refused.at_once(b"", format)
    assert error.reason == "empty"
    assert "0 bytes" in str(error)


@pytest.mark.parametrize("format", [*TEXTUAL, "json"])
@pytest.mark.parametrize("content", [b" \n\t\r\n ", b"\xef\xbb\xbf", b"\xff\xfe", b"\xef\xbb\xbf\xef\xbb\xbf\n"])
def test_blanks_and_marks_alone_are_no_text(content: bytes, format: Format, refused: Refusals) -> None:
    assert refused.at_once(content, format).reason == "empty"


def test_a_pdf_under_another_name_is_told_so(refused: Refusals) -> None:
    error = refused.at_once(b"%PDF-1.4\n1 0 obj", "text")
    assert error.reason == "unreadable"
    assert "name it .pdf" in str(error)


@pytest.mark.parametrize("format", ["text", "markdown"])
def test_too_much_text_is_refused_before_the_upload_is_answered(format: Format, refused: Refusals) -> None:
    error = refused.at_once(b"word " * 300, format, Limits(max_text_chars=1_000))
    assert error.reason == "too_long"
    assert "more than 1,000 characters" in str(error)
    assert "split it" in str(error)


def test_what_no_terminal_should_get_is_left_out(limits: Limits) -> None:
    found = extract("a\x1b[31mb\x07c\x9dd\r\ne\x0cf\u2028g   \n\n\n\n\nh".encode(), "text", limits)
    assert found.text == "a[31mbcd\ne\nf\ng\n\nh"


def test_long_runs_of_space_take_no_time(limits: Limits) -> None:
    found = extract(b"a" + b" " * 1_500_000 + b"b", "text", Limits(seconds=1))
    assert len(found.text) == 1_500_002


def test_markdown_is_cut_at_its_headings(limits: Limits) -> None:
    content = b"Before.\n\n# One #\nText of one.\n\n## *Two* `code` [link](url) 2*3\n\nText of two.\n"
    assert extract(content, "markdown", limits).sections == [
        Section("", "Before."),
        Section("One", "Text of one."),
        Section("Two code link 2*3", "Text of two."),
    ]


def test_underlined_headings_are_headings(limits: Limits) -> None:
    found = extract(b"One\n===\ntext\n\nTwo\n---\ntext\n\n- item\n---\n\npara of\ntwo lines\n---\n", "markdown", limits)
    assert [section.heading for section in found.sections] == ["One", "Two"]
    assert "para of\ntwo lines" in found.sections[1].text


def test_the_first_heading_is_the_title(limits: Limits) -> None:
    assert extract(b"Before.\n## First\n# Second\n", "markdown", limits).title == "First"


def test_the_front_matter_names_the_title_and_is_no_text(limits: Limits) -> None:
    content = b'---\nlayout: page\ntitle: "The real one"\n---\n# Heading\ntext\n'
    found = extract(content, "markdown", limits)
    assert found.title == "The real one"
    assert found.text == "Heading\n\ntext"


def test_a_front_matter_that_never_ends_is_text(limits: Limits) -> None:
    found = extract(b"---\ntitle: not one\n\ntext\n", "markdown", limits)
    assert found.title == ""
    assert "title: not one" in found.text


def test_what_looks_like_a_heading_in_code_is_code(limits: Limits) -> None:
    content = b"# Real\n````sh\n# a comment\n```\n# another\n````\n~~~\n# third\n```\n~~~\n# Real too\n"
    found = extract(content, "markdown", limits)
    assert [section.heading for section in found.sections] == ["Real", "Real too"]


def test_a_hash_without_a_space_is_no_heading(limits: Limits) -> None:
    assert [part.heading for part in extract(b"#tag\n\ntext", "markdown", limits).sections] == [""]


def test_a_heading_of_a_whole_page_is_kept_as_text(limits: Limits) -> None:
    found = extract(b"# " + b"word " * 300 + b"END\n", "markdown", limits)
    assert len(found.sections[0].heading) <= 200
    assert len(found.title) <= 200
    assert found.sections[0].text.endswith("END")
