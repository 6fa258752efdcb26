"""Settings come from the environment, then from .env, and mean there what they mean to Compose."""

import http.server
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from scripts import addresses
from scripts.addresses import port, setting
from scripts.local.lookup import look

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(addresses, "PROJECT", tmp_path)
    for name in ("TRAFFIC", "PORT_GRAFANA", "LOCAL", "COMPOSE", "TOOLS_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def test_a_variable_is_looked_for_in_the_environment_first(dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setting("TRAFFIC") == ""
    dotenv.write_text("TRAFFIC=2\n")
    assert setting("TRAFFIC") == "2"
    monkeypatch.setenv("TRAFFIC", "3")
    assert setting("TRAFFIC") == "3"


def test_comments_spaces_quotes_and_export_are_no_part_of_a_value(dotenv: Path) -> None:
    dotenv.write_text("TRAFFIC=0 # no load\nexport PORT_GRAFANA=3005\nLOCAL = 1\nCOMPOSE='podman compose' # mine\n")
    assert (setting("TRAFFIC"), port("PORT_GRAFANA"), setting("LOCAL")) == ("0", 3005, "1")
    assert setting("COMPOSE") == "podman compose"


def test_a_file_that_cannot_be_read_is_named_with_the_line(dotenv: Path) -> None:
    dotenv.write_text("TRAFFIC=2\nno load please\n")
    with pytest.raises(ValueError, match=r"\.env: line 2 is not NAME=value"):
        setting("LOCAL")


def test_programs_are_looked_for_in_the_folders_that_it_names(dotenv: Path, tmp_path: Path) -> None:
    tool = tmp_path / "mine" / "a-tool-of-mine"
    tool.parent.mkdir()
    tool.touch(0o755)
    assert look(tool.name) is None
    dotenv.write_text(f"TOOLS_PATH={tool.parent}\n")
    assert look(tool.name) == str(tool)


def test_what_is_here_is_not_asked_by_way_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"here")

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with addresses.open_here(urllib.request.Request(f"http://127.0.0.1:{server.server_port}/")) as answer:
            assert answer.read() == b"here"
        server.shutdown()


@pytest.mark.parametrize("name", ["report", "report.view", "traffic", "tour", "chaos", "live", "bad_day"])
def test_a_port_that_is_none_is_told_in_a_sentence_by_every_command(name: str) -> None:
    ports = dict.fromkeys(("PORT_BACKEND", "PORT_PROMETHEUS", "PORT_LOKI", "PORT_GRAFANA"), "abc")
    answer = subprocess.run(
        [sys.executable, "-m", f"scripts.{name}"],
        cwd=REPOSITORY, env={**os.environ, **ports, "AUTO": "1", "MINUTES": "1"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 2
    assert "is not a port" in answer.stderr
    assert "Traceback" not in answer.stderr
