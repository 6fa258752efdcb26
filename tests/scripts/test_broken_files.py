"""The generator of broken uploads, and the PDF writer under it."""

import io
from itertools import islice

import pytest
from pypdf import PdfReader

from scripts import broken_pdfs
from scripts.broken_files import TYPES, VALID, broken_files
from scripts.pdf import pdf


def read(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content), strict=True)


def test_a_written_pdf_reads_back() -> None:
    text = "Alerts (and \\ dashboards)\ncaffè costs 1 €"
    reader = read(pdf(text, title="A (bar)"))
    assert reader.pages[0].extract_text() == text
    assert reader.metadata
    assert reader.metadata.title == "A (bar)"


def test_text_flows_over_lines_and_pages_without_loss() -> None:
    words = [f"word{number}" for number in range(3_000)]
    reader = read(pdf(" ".join(words)))
    assert len(reader.pages) > 3
    assert " ".join(page.extract_text() for page in reader.pages).split() == words


def test_characters_beyond_the_encoding_become_question_marks() -> None:
    assert read(pdf("東京 bar")).pages[0].extract_text() == "?? bar"


def test_an_empty_line_takes_its_place() -> None:
    assert pdf("a\n\nb").count(b" Tj") == 3


def test_no_text_is_one_empty_page() -> None:
    assert [page.extract_text() for page in read(pdf("")).pages] == [""]


def test_text_that_looks_like_the_file_s_own_structure_does_no_harm() -> None:
    assert read(pdf("xref\ntrailer\nendstream\nendobj")).pages[0].extract_text().startswith("xref")


def test_an_encrypted_pdf_opens_with_its_password_alone() -> None:
    reader = read(broken_pdfs.encrypted_pdf("hidden", "key"))
    assert reader.is_encrypted
    assert not reader.decrypt("other")
    assert reader.decrypt("key")
    assert reader.pages[0].extract_text() == "hidden"


def test_the_same_seed_gives_the_same_files() -> None:
    assert list(islice(broken_files(3), 200)) == list(islice(broken_files(3), 200))


def test_another_seed_gives_others() -> None:
    assert list(islice(broken_files(3), 20)) != list(islice(broken_files(4), 20))


def test_files_are_small_and_say_what_is_wrong() -> None:
    for file in islice(broken_files(5), 1_000):
        assert len(file.content) < 2_000_000, file.why
        assert file.why


def test_every_kind_of_harm_turns_up() -> None:
    reasons = "\n".join(file.why for file in islice(broken_files(6), 2_500))
    for kind in (
        "cut off", "bits flipped", "Latin-1", "NULs", "byte order mark", "half a surrogate pair", "utf-16",
        "under the name of", "no text", "random bytes", "one line of", "arrays in arrays", "a wide array",
        "lone surrogates", "a quote that never closes", "100,000 columns", "elements in elements",
        "inflates to 64 MB", "a password", "references in a circle", "no name", "a name that climbs",
        "a name with line ends", "a name beyond ASCII", "a name of 10,000 characters",
    ):  # fmt: skip
        assert kind in reasons, kind
    assert all(kind in reasons for kind in broken_pdfs.HOSTILE)


def test_the_files_that_are_broken_were_valid_before() -> None:
    assert VALID.keys() == TYPES.keys()
    assert read(VALID[".pdf"]).pages[0].extract_text().startswith("Alerts wake people")


@pytest.mark.parametrize("make", broken_pdfs.SLOW.values(), ids=broken_pdfs.SLOW.keys())
def test_slow_files_are_small_too(make: broken_pdfs.Maker) -> None:
    content = make(None)  # type: ignore[arg-type]
    assert content.startswith(b"%PDF-")
    assert len(content) < 100_000
