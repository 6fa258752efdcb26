"""The repository's Markdown and what is made of it."""

import csv
import io
import json
from pathlib import Path

import pypdf
import pytest

from scripts.traffic.library import (
    Document,
    Section,
    converted,
    documents,
    key_of,
    key_of_filename,
    plain,
    sections,
    uploads,
)

LONG = "A sentence of some length that says nothing at all about anything. " * 5


def test_documents_are_all_markdown_files_of_the_repository_and_no_others(tmp_path: Path) -> None:
    for path in ("b.md", "docs/a.md", ".hidden/c.md", "node_modules/d.md", "tests/e.md", "f.txt", "g.md"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("# Title")
    (tmp_path / "g.md").write_text(" \n")
    (tmp_path / "h.md").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere.md")
    assert [document.path for document in documents(tmp_path)] == ["b.md", "docs/a.md"]


def test_a_title_is_the_first_heading_or_else_the_name() -> None:
    assert Document("docs/a.md", "text\n# The title \n# Another").title == "The title"
    assert Document("docs/a.md", "## Only a section").title == "docs-a"


def test_sections_are_those_with_enough_text_and_code_has_no_headings() -> None:
    text = f"# T\n{LONG}\n## One ##\n{LONG}\n```\n## no heading\n```\n### Two\n{LONG}\n## Short\nfew words\n"
    found = sections(Document("a.md", text))
    assert [section.heading for section in found] == ["One", "Two"]
    assert "## no heading" in found[0].text


def test_plain_text_keeps_words_and_drops_marks() -> None:
    markdown = "## Head\n| a | `b` |\n| --- | --- |\n| [c](http://d) | **e** |\n```sh\nmake up\n```"
    assert plain(markdown) == "Head\na, b\nc, e\n\nmake up"


def test_a_key_is_found_again_from_every_file_made_of_the_document() -> None:
    section = Section(Document("docs/v1.2/capacity.md", ""), "What it costs: much!", LONG)
    assert key_of("docs/v1.2/capacity.md") == "docs-v1-2-capacity"
    for kind in ("text", "html", "csv", "json", "pdf"):
        filename = converted(section, kind).filename
        assert filename.startswith("docs-v1-2-capacity.what-it-costs-much.")
        assert key_of_filename(filename) == "docs-v1-2-capacity"


@pytest.fixture
def section() -> Section:
    return Section(Document("a.md", "# Pets & co"), "Dogs <i>", "First `part`,\nof it.\n\n| Second | part |")


def test_text_has_the_title_and_the_words(section: Section) -> None:
    upload = converted(section, "text")
    assert upload.content.decode() == "Pets & co: Dogs <i>\n\nFirst part,\nof it.\n\nSecond, part\n"
    assert (upload.format, upload.media_type) == ("text", "text/plain")


def test_html_is_escaped(section: Section) -> None:
    page = converted(section, "html").content.decode()
    assert "<title>Pets &amp; co: Dogs &lt;i&gt;</title>" in page
    assert "<p>Second, part</p>" in page


def test_csv_has_a_row_a_paragraph(section: Section) -> None:
    rows = list(csv.reader(io.StringIO(converted(section, "csv").content.decode())))
    assert rows[0] == ["document", "section", "paragraph", "text"]
    assert rows[1:] == [
        ["Pets & co", "Dogs <i>", "1", "First part, of it."],
        ["Pets & co", "Dogs <i>", "2", "Second, part"],
    ]


def test_json_has_the_paragraphs(section: Section) -> None:
    content = json.loads(converted(section, "json").content)
    assert content["title"] == "Pets & co: Dogs <i>"
    assert content["paragraphs"] == ["First part,\nof it.", "Second, part"]


def test_pdf_can_be_read(section: Section) -> None:
    text = pypdf.PdfReader(io.BytesIO(converted(section, "pdf").content)).pages[0].extract_text()
    assert "Dogs <i>" in text
    assert "Second, part" in text


def test_a_run_uploads_each_document_and_every_format_and_the_seed_says_what() -> None:
    found = [Document(f"{name}.md", f"# {name}\n## One\n{LONG}\n## Two\n{LONG}") for name in ("a", "b", "c")]
    first = uploads(found, seed=1)
    assert [item.filename for item in first[:3]] == ["a.md", "b.md", "c.md"]
    assert {item.format for item in first} == {"markdown", "text", "html", "csv", "json", "pdf"}
    assert first == uploads(found, seed=1)
    assert first != uploads(found, seed=2)


def test_documents_without_a_section_worth_it_are_uploaded_as_they_are() -> None:
    assert [item.filename for item in uploads([Document("a.md", "# A")], seed=1)] == ["a.md"]
