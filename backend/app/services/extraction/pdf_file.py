"""PDF by pypdf, under limits tighter than pypdf's own.

pypdf bounds each thing that it decompresses, and nothing bounds their sum: pages of one stream each, forms
that draw forms. Those end at the deadline between two pages, at the latest when `isolation` kills the reader.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

from app.services.extraction.cleaning import one_line
from app.services.extraction.model import Budget, Limits, RejectedDocument, Section

#: Of a stream, decompressed. A page of dense text has some 10 kB; only drawings and pictures come near.
_STREAM_BYTES = 16 * 2**20
#: The header stands in the first kilobyte in what readers accept (ISO 32000-1, annex H).
_HEADER_BYTES = 1024
_LIGATURES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)


def check(content: bytes, limits: Limits) -> None:
    """Refuse what is no PDF, is encrypted or has too many pages."""
    with _opened(content, limits):
        pass


def read(content: bytes, limits: Limits, budget: Budget) -> tuple[str, list[Section]]:
    """One section a page; the title is the document information's."""
    sections: list[Section] = []
    with _opened(content, limits) as reader:
        count = len(reader.pages)
        for number, page in enumerate(reader.pages, start=1):
            text = _text(page, number).translate(_LIGATURES)
            budget.spend(text, f"page {number}")
            if text.strip():
                sections.append(Section(f"Page {number}" if count > 1 else "", text))
        return _title(reader), sections


@contextmanager
def _opened(content: bytes, limits: Limits) -> Iterator[pypdf.PdfReader]:
    if b"%PDF-" not in content[:_HEADER_BYTES]:
        raise RejectedDocument(
            "unreadable",
            "The file does not begin like a PDF (no %PDF- in its first kilobyte); upload the PDF itself.",
        )
    with pypdf.apply_configuration(_configuration(limits)), _explained():
        reader = pypdf.PdfReader(io.BytesIO(content), strict=False)
        # pypdf has tried the empty password, with which files open that only forbid printing or copying.
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileNotDecryptedError
        _check_pages(reader, limits)
        yield reader


def _configuration(limits: Limits) -> pypdf.Configuration:
    return pypdf.Configuration(
        maximum_declared_stream_length=4 * _STREAM_BYTES,
        array_based_stream_maximum_output_length=_STREAM_BYTES,
        lzw_maximum_output_length=_STREAM_BYTES,
        run_length_maximum_output_length=_STREAM_BYTES,
        zlib_maximum_output_length=_STREAM_BYTES,
        # Recovery goes byte by byte, at some 3 MB/s.
        zlib_maximum_recovery_input_length=_STREAM_BYTES // 16,
        stream_filters_maximum_length=4,
        stream_decoding_work_maximum_length=4 * _STREAM_BYTES,
        # Measured: 25 µs and 0.4 kB an operator.
        stream_parsing_work_maximum_count=500_000,
        xform_maximum_invocations_per_extraction=200,
        # The tree's inner nodes, of which there are fewer than pages, come on top.
        page_tree_maximum_entries=2 * limits.max_pdf_pages + 100,
        jbig2dec_binary=None,
        # The old way of setting limits, by changing constants, is not used here.
        disable_legacy_handling=True,
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Turn pypdf's words into what the file's owner can act on; what is not listed here is "unreadable"."""
    try:
        yield
    except FileNotDecryptedError:
        raise RejectedDocument(
            "encrypted", "The PDF is encrypted; open it with its password and save it without protection."
        ) from None
    except DependencyError:
        # Of all that a text needs, pypdf leaves AES alone to another package, one that would add 15 MB.
        raise RejectedDocument(
            "encrypted",
            "The PDF is encrypted with AES, which is not read here even where no password is asked for; "
            "save it without protection, or print it to a new PDF.",
        ) from None
    except LimitReachedError as error:
        raise RejectedDocument(
            "bomb",
            f"A part of the PDF is larger than is read ({one_line(str(error), 100)}); "
            "print it to a new PDF, or save its text.",
        ) from None


def _check_pages(reader: pypdf.PdfReader, limits: Limits) -> None:
    count = len(reader.pages)
    if count > limits.max_pdf_pages:
        raise RejectedDocument(
            "too_long",
            f"The PDF has {count:,} pages, and {limits.max_pdf_pages:,} are read at most; split it.",
        )
    if count == 0:
        raise RejectedDocument("empty", "The PDF has no pages; upload one with content.")


def _text(page: pypdf.PageObject, number: int) -> str:
    try:
        return page.extract_text()
    except (DependencyError, FileNotDecryptedError, LimitReachedError, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise RejectedDocument(
            "unreadable",
            f"Page {number} of the PDF is damaged ({type(error).__name__}); print it to a new PDF and upload that.",
        ) from error


def _title(reader: pypdf.PdfReader) -> str:
    try:
        title = reader.metadata.title if reader.metadata else None
    except Exception:
        # A title is worth having and not worth refusing a document whose pages could be read.
        return ""
    return title if isinstance(title, str) else ""
