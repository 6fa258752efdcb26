"""A run against the backend itself, with its embedded stores and its local AI provider."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.traffic.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The backend's own program on a free port; its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY / "backend"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DOCUMENT_STORE": "sqlite",
        "SQLITE_PATH": str(tmp_path / "documents.sqlite"),
        "VECTOR_STORE": "local",
        "QDRANT_PATH": str(tmp_path / "qdrant"),
        "LOG_DIR": str(tmp_path / "logs"),
    }
    with (tmp_path / "output").open("w") as output:
        program = subprocess.Popen(
            [sys.executable, "-m", "app.main"], cwd=tmp_path, env=environment, stdout=output, stderr=output
        )
        yield f"http://127.0.0.1:{port}"
        program.terminate()
        program.wait(20)


def test_every_request_is_answered_as_it_should_be_and_every_format_is_indexed(
    root: Path, service: str, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"--root": str(root), "--questions": str(root / "questions.json"), "--url": service}
    load = {"--rate": "25", "--seconds": "6", "--wait": "60"}
    monkeypatch.setattr(sys, "argv", ["traffic", *(part for one in (arguments | load).items() for part in one)])
    assert main() == 0
    said = capsys.readouterr().out
    assert "Errors: 0 of " in said, said
    assert "12 indexed, 0 failed, 0 not seen to the end" in said
    right = re.search(r"Right source first: (\d+) %", said)
    assert right
    assert int(right[1]) >= 80
    metrics = httpx.get(f"{service}/metrics").text
    for kind in ("markdown", "text", "html", "csv", "json", "pdf"):
        assert f'indexing_files_processed_total{{format="{kind}",status="completed"}} 2.0' in metrics
