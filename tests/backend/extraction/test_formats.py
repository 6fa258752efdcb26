"""The format of an upload, from its name and its declared type."""

import pytest

from app.services.extraction import FORMATS, UnsupportedFormat, detect_format


@pytest.mark.parametrize(
    ("filename", "format"),
    [
        ("notes.txt", "text"),
        ("notes.md", "markdown"),
        ("notes.markdown", "markdown"),
        ("page.html", "html"),
        ("page.htm", "html"),
        ("table.csv", "csv"),
        ("data.json", "json"),
        ("book.pdf", "pdf"),
        ("BOOK.PDF", "pdf"),
        ("archive.tar.json ", "json"),
        ("C:\\Users\\me\\book.pdf", "pdf"),
        ("../../etc/passwd.txt", "text"),
        ("line\nbreak.csv", "csv"),
        ("x" * 10_000 + ".md", "markdown"),
    ],
)
def test_the_extension_decides(filename: str, format: str) -> None:
    assert detect_format(filename, "application/octet-stream") == format


def test_the_extension_counts_more_than_the_declared_type() -> None:
    assert detect_format("data.json", "text/plain") == "json"


@pytest.mark.parametrize("filename", ["", "README", "notes.rst", ".md", "....", "a.b/c"])
def test_the_declared_type_decides_for_other_names(filename: str) -> None:
    assert detect_format(filename, "Text/HTML; charset=utf-8") == "html"


def test_a_missing_name_is_a_name_without_extension() -> None:
    assert detect_format(None, "application/pdf") == "pdf"


def test_every_format_is_reached() -> None:
    names = ["a.txt", "a.md", "a.html", "a.csv", "a.json", "a.pdf"]
    assert tuple(detect_format(name, None) for name in names) == FORMATS


def test_what_is_not_read_is_refused_with_what_is_read() -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        detect_format("photo.png", "image/png")
    message = str(caught.value)
    assert '".png"' in message
    assert '"image/png"' in message
    for accepted in (".txt", ".md", ".html", ".csv", ".json", ".pdf", "text/plain", "application/pdf"):
        assert accepted in message


def test_a_refusal_says_when_there_was_no_name_and_no_type() -> None:
    with pytest.raises(UnsupportedFormat, match="no extension and no content type"):
        detect_format(None, None)


@pytest.mark.parametrize(
    ("filename", "declared"),
    [("notes.4111111111111111", "application/maria@example.org"), ("a." + "x" * 10_000, "y\r\nX-Injected: yes")],
)
def test_a_refusal_repeats_nothing_that_a_client_made_up(filename: str, declared: str) -> None:
    with pytest.raises(UnsupportedFormat, match="an unknown extension and an unknown content type") as caught:
        detect_format(filename, declared)
    assert filename[6:] not in str(caught.value)
    assert "maria" not in str(caught.value)
    assert "\n" not in str(caught.value)
