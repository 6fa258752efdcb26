"""PDF: the text of its pages, and what is refused rather than suffered."""

import time
import tracemalloc

import pytest

from app.services.extraction import Limits, Section, extract, validate
from scripts import broken_pdfs
from scripts.pdf import assemble, pdf, stream

from .conftest import Refusals


def test_text_and_title_are_read(limits: Limits) -> None:
    content = pdf("Opening hours: 9 to 5.\n\nCaffè costs 1 €.", title="The bar")
    validate(content, "pdf", limits)
    found = extract(content, "pdf", limits)
    assert found.title == "The bar"
    assert "Opening hours: 9 to 5." in found.text
    assert "Caffè costs 1 €." in found.text


def test_each_page_is_a_section(limits: Limits) -> None:
    found = extract(pdf("\n".join(f"line {number}" for number in range(120))), "pdf", limits)
    assert [section.heading for section in found.sections] == ["Page 1", "Page 2", "Page 3"]
    assert found.sections[1].text.startswith("line 52")


def test_one_page_needs_no_heading(limits: Limits) -> None:
    assert extract(pdf("alone"), "pdf", limits).sections == [Section("", "alone")]


def test_ligatures_are_letters(limits: Limits) -> None:
    content = (
        pdf("Find")
        .replace(b"(Find)", b"(\\001nd)")
        .replace(b"/Encoding /WinAnsiEncoding", b"/Encoding << /Differences [1 /fi] >>")
    )
    assert extract(content, "pdf", limits).text == "find"


def test_a_file_without_the_header_is_no_pdf(refused: Refusals) -> None:
    error = refused.at_once(b"hello" * 500 + pdf("late"), "pdf")
    assert error.reason == "unreadable"
    assert "no %PDF-" in str(error)


def test_a_pdf_that_is_cut_off_is_unreadable(refused: Refusals) -> None:
    error = refused.at_once(pdf("cut")[:200], "pdf")
    assert error.reason == "unreadable"
    assert "save it again" in str(error)


def test_a_password_is_refused(refused: Refusals) -> None:
    error = refused.at_once(broken_pdfs.encrypted_pdf("secret text", "password"), "pdf")
    assert error.reason == "encrypted"
    assert "without protection" in str(error)


def test_encryption_that_opens_without_a_password_is_read(limits: Limits) -> None:
    assert extract(broken_pdfs.encrypted_pdf("open to all", ""), "pdf", limits).text == "open to all"


def test_aes_is_refused_by_name(refused: Refusals) -> None:
    locked = b"/Encrypt << /Filter /Standard /V 5 /R 6 /P -4 /Length 256 /O <%s> /U <%s> /OE <%s> /UE <%s> >>" % (
        (b"00" * 48, b"00" * 48, b"00" * 32, b"00" * 32)
    )
    plain = pdf("x")
    error = refused.at_once(plain.replace(b"/Info 4 0 R", locked), "pdf")
    assert error.reason == "encrypted"
    assert "AES" in str(error)


def test_more_pages_than_the_limit_are_refused(refused: Refusals) -> None:
    error = refused.at_once(broken_pdfs.many_pages(60), "pdf", Limits(max_pdf_pages=50))
    assert error.reason == "too_long"
    assert "60 pages, and 50 are read at most" in str(error)


def test_a_pdf_without_text_asks_for_text_recognition(refused: Refusals) -> None:
    error = refused(pdf(" "), "pdf")
    assert error.reason == "empty"
    assert "OCR" in str(error)


def test_a_pdf_without_pages_is_empty(refused: Refusals) -> None:
    error = refused.at_once(assemble([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] >>"]), "pdf")
    assert error.reason == "empty"
    assert "no pages" in str(error)


def test_a_damaged_page_is_named(refused: Refusals) -> None:
    page = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>"
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] >>", page]
    error = refused(assemble([*objects, stream(b"BT", b"/Filter /NoSuchDecode"), b"<< /Type /Font >>"]), "pdf")
    assert error.reason == "unreadable"
    assert "Page 1" in str(error)


def test_a_title_that_cannot_be_read_costs_no_document(limits: Limits) -> None:
    content = pdf("text", "T")
    for damaged in (content.replace(b"/Title (T)", b"/Title 7777"), content.replace(b"/Info 4", b"/Info 2")):
        assert extract(damaged, "pdf", limits).title == ""
        assert extract(damaged, "pdf", limits).text == "text"
    # No dictionary at all, at which pypdf raises.
    assert extract(content.replace(b"/Info 4 0 R", b"/Info [1 2]"), "pdf", limits).text == "text"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(broken_pdfs.inflating_text(), "bomb", id="inflates to 64 MB"),
        pytest.param(broken_pdfs.inflating_twice(), "bomb", id="inflates twice"),
        pytest.param(broken_pdfs.many_pages(), "bomb", id="twenty thousand pages"),
    ],
)
def test_bombs_are_refused_within_3_seconds_and_64_mb(content: bytes, reason: str, refused: Refusals) -> None:
    assert len(content) < 600_000
    tracemalloc.start()
    started = time.process_time()
    error = refused(content, "pdf")
    elapsed = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.reason == reason
    assert elapsed < 3
    assert peak < 64 * 2**20


def test_slow_pages_end_at_the_deadline_with_the_page(refused: Refusals) -> None:
    started = time.process_time()
    error = refused(broken_pdfs.busy_pages(), "pdf", Limits(seconds=0.5, max_text_chars=10**9))
    assert error.reason == "bomb"
    assert "at page" in str(error)
    assert "after 0.5 s" in str(error)
    assert time.process_time() - started < 5


def test_too_much_text_is_refused_with_the_page(refused: Refusals) -> None:
    error = refused(pdf("word " * 5_000), "pdf", Limits(max_text_chars=6_000))
    assert error.reason == "too_long"
    assert "reached at page 2" in str(error)
