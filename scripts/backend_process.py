"""The backend as a process of its own, with all that it keeps in one folder: for what needs the real program."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import httpx

BACKEND = Path(__file__).resolve().parent.parent / "backend"


class BackendProcess:
    """`python -m app.main` with embedded stores; `with` starts and stops it, and it can be killed and started again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Takes variables of the environment beside its own; without PORT a free one."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", int(settings.get("PORT", "0"))))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.environment = {
            **os.environ,
            "HOST": "127.0.0.1",
            "LOG_DIR": str(folder / "logs"),
            "DOCUMENT_STORE": "sqlite",
            "SQLITE_PATH": str(folder / "specola.sqlite"),
            "VECTOR_STORE": "local",
            "QDRANT_PATH": str(folder / "qdrant"),
            "AI_PROVIDER": "local",
            **settings,
            "PORT": str(port),
        }
        self.output = folder / "output.log"
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Starts it without waiting."""
        command = [sys.executable, "-m", "app.main"]
        with self.output.open("ab") as sink:
            self._process = subprocess.Popen(
                command, cwd=BACKEND, env=self.environment, stdout=sink, stderr=subprocess.STDOUT
            )

    def start(self, seconds: float = 60) -> float:
        """Starts it; returns the seconds until it was ready. RuntimeError with its last words if it is not in time."""
        begun = time.monotonic()
        self.launch()
        while not self.ready():
            if self.ended() or time.monotonic() - begun > seconds:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"the backend does not serve at {self.address}; it said:\n{self.said()[-2000:]}")
            time.sleep(0.05)
        return time.monotonic() - begun

    def ready(self) -> bool:
        """Whether it can serve now."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.address + "/health/ready", timeout=5, trust_env=False).is_success
        return False

    def ended(self) -> bool:
        """Whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def wait(self, seconds: float = 30) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process
        return self._process.wait(timeout=seconds)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Ends it; returns the seconds that it took."""
        begun = time.monotonic()
        if self._process and not self.ended():
            self._process.send_signal(how)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
        return time.monotonic() - begun

    def said(self) -> str:
        """All that it wrote."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> "BackendProcess":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
