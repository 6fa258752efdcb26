"""Settings that do not go together are refused at the start, and the message names their variables."""

import pytest
from pydantic import ValidationError

from app.core.config import Settings


@pytest.mark.parametrize(("chars", "overlap"), [(100, 50), (200, 100), (800, 400), (800, 5000)])
def test_passages_that_share_half_of_themselves_or_more_are_refused(chars: int, overlap: int) -> None:
    with pytest.raises(ValidationError, match=rf"CHUNK_OVERLAP_CHARS \({overlap}\).*CHUNK_CHARS \({chars}\)"):
        Settings(chunk_chars=chars, chunk_overlap_chars=overlap)
    Settings(chunk_chars=chars, chunk_overlap_chars=(chars - 1) // 2)


def test_an_upload_has_to_fit_into_one_record_of_mongodb() -> None:
    with pytest.raises(ValidationError, match=r"MAX_UPLOAD_BYTES \(12500001\).*DOCUMENT_STORE=mongodb"):
        Settings(document_store="mongodb", max_upload_bytes=12_500_001)
    Settings(document_store="mongodb", max_upload_bytes=12_500_000)
    Settings(document_store="sqlite", max_upload_bytes=12_500_001)
