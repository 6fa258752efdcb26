"""Small programs that stand as services, and a web server's files."""

import stat
import sys
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import StringIO
from pathlib import Path

from rich.console import Console

from scripts.local.report import Report

#: Answers 200 to everything, at the port that `--port=` names; tells its version when asked.
WEB_PROGRAM = """
import http.server, sys
if "--version" in sys.argv:
    print("web, version 2.5.1 (branch: HEAD)")
    sys.exit()
port = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("--port="))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(" ".join(sys.argv[1:]).encode())
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
IDLE_PROGRAM = """
import sys, time
while "--version" not in sys.argv:
    time.sleep(60)
"""


def program(path: Path, source: str) -> Path:
    """An executable file with Python code in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def versioned(path: Path, told: str) -> Path:
    """A program that only tells its version."""
    return program(path, f"print({told!r})\n")


@dataclass
class Written:
    """A report that keeps what it is told."""

    terminal: bool = False
    stream: StringIO = field(default_factory=StringIO)

    @property
    def report(self) -> Report:
        console = Console(file=self.stream, width=200, soft_wrap=True, highlight=False, force_terminal=self.terminal)
        return Report(console)

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@dataclass
class Releases:
    """A web server that hands out files as a release page does, and can be made to break off or to lie."""

    files: dict[str, bytes] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)  # bytes of the next answers, one each; then whole ones
    answers: list[int] = field(default_factory=list)  # statuses of the next answers, instead of the file
    knows_ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range header
    silent_seconds: float = 0.0  # before each answer
    url: str = ""

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.requests.append((handler.path, wanted))
        time.sleep(self.silent_seconds)
        content = self.files.get(handler.path)
        status = self.answers.pop(0) if self.answers else (200 if content is not None else 404)
        start = 0
        if status == 200 and wanted and self.knows_ranges and content is not None:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(content) else 416
        body = content[start:] if content is not None and status in (200, 206) else b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        cut = self.break_after.pop(0) if self.break_after and body and ".txt" not in handler.path else len(body)
        handler.wfile.write(body[:cut])
