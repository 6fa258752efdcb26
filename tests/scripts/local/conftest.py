"""What the local runner's tests share."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest

from tests.scripts.local.helpers import Releases, Written
from tests.scripts.local.project import Project, made_at


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def terminal() -> Written:
    return Written(terminal=True)


@pytest.fixture
def releases() -> Iterator[Releases]:
    held = Releases()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.respond(self)

        def log_message(self, format: str, *args: object) -> None:
            """Not into the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    held.url = f"http://127.0.0.1:{server.server_port}"
    yield held
    server.shutdown()
    server.server_close()


@pytest.fixture
def only_these_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make PATH one empty folder, to put programs into; the named ones of the system stay."""
    folder = tmp_path / "path"
    folder.mkdir()

    def keep(*names: str) -> Path:
        for name in names:
            for place in os.environ["PATH"].split(os.pathsep):
                if (Path(place) / name).exists() and not (folder / name).exists():
                    (folder / name).symlink_to(Path(place) / name)
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return keep


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with made_at(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that runs, for tests that change nothing of it; `said` is what `up` printed."""
    with pytest.MonkeyPatch.context() as patch, made_at(tmp_path_factory.mktemp("running"), patch) as made:
        said = StringIO()
        with redirect_stdout(said):
            assert made("up") == 0
        made.said = said.getvalue()
        yield made
