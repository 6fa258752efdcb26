"""From an uploaded file to plain text.

Uploads are hostile until shown otherwise, and the readers of PDF, HTML, CSV and JSON spend memory and time
as the file tells them to. So the service calls `validate_safely` and `extract_safely`, which run the readers
in a process of their own that can be killed (see `isolation`); `validate` and `extract` are the same work
in the calling process, for scripts and tests that read files they trust.

Whatever the file holds, it ends in text, `RejectedDocument` or `UnsupportedFormat`. The one other exception,
`ExtractionUnavailable`, is about this server and not about the file; `ReadersBusy` is one of its kind.
"""

from app.services.extraction.formats import FORMATS, Format, detect_format
from app.services.extraction.isolation import close, extract_safely, validate_safely
from app.services.extraction.model import (
    Extracted,
    ExtractionUnavailable,
    Limits,
    ReadersBusy,
    Reason,
    RejectedDocument,
    Section,
    UnsupportedFormat,
)
from app.services.extraction.reading import extract, validate

__all__ = [
    "FORMATS",
    "Extracted",
    "ExtractionUnavailable",
    "Format",
    "Limits",
    "ReadersBusy",
    "Reason",
    "RejectedDocument",
    "Section",
    "UnsupportedFormat",
    "close",
    "detect_format",
    "extract",
    "extract_safely",
    "validate",
    "validate_safely",
]
