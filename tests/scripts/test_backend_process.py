"""The helper that starts the real backend."""

from pathlib import Path

import pytest

from scripts.backend_process import BackendProcess


def test_a_backend_that_does_not_start_says_why(tmp_path: Path) -> None:
    process = BackendProcess(tmp_path, LOG_LEVEL="loud")
    with pytest.raises(RuntimeError, match=r"does not serve at http://127\.0\.0\.1:\d+; it said:\n[\s\S]*log_level"):
        process.start()
    assert process.ended()


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    process = BackendProcess(tmp_path)
    with pytest.raises(RuntimeError, match="does not serve"):
        process.start(seconds=0)
    assert process.ended()
