"""`make view`: the dashboards on 127.0.0.1, for machines without Grafana."""

import sys
import time
from datetime import datetime
from threading import Lock
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from scripts.addresses import setting, told
from scripts.report.ask import Stores
from scripts.report.board import Window, boards
from scripts.report.options import OptionsError, duration, time_zone
from scripts.report.page import render, section, stores
from scripts.report.weekly import week

#: Beside Grafana's, which it stands in for.
DEFAULT_PORT = 3001
#: The page asks anew this often (seconds); whoever looks as well meanwhile is shown the same.
REFRESH = 30.0


def application(where: Stores, zone: ZoneInfo) -> Starlette:
    """`/` is the week, `/{uid}` a dashboard, `?since=7d` another range than its own."""
    drawn: dict[tuple[str, str], tuple[float, str]] = {}
    lock = Lock()

    def page(request: Request) -> Response:
        uid, since = request.path_params.get("uid", ""), request.query_params.get("since", "")
        with lock:
            made, text = drawn.get((uid, since), (0.0, ""))
            if time.monotonic() - made >= REFRESH or not text:
                try:
                    text = _draw(uid, since)
                except OptionsError as error:
                    return PlainTextResponse(str(error), 404)
                drawn.clear() if len(drawn) > 100 else None
                drawn[uid, since] = time.monotonic(), text
        return HTMLResponse(text, headers={"Cache-Control": "no-store"})

    def _draw(uid: str, since: str) -> str:
        now, known = datetime.now(zone), boards()
        chosen = boards(uid) if uid else []
        windows = [
            Window(now.timestamp() - (duration(since) if since else board.own), now.timestamp(), zone)
            for board in chosen
        ]
        sections = [section(board, window, where) for board, window in zip(chosen, windows, strict=True)]
        first = None if uid else week(Window(0, now.timestamp(), zone), where)
        return render(sections, first, where, now, known)

    return Starlette(routes=[Route("/", page), Route("/{uid}", page)])


def main() -> int:
    """Serves until it is interrupted; 2 when a setting makes no sense."""
    port = setting("VIEW_PORT") or str(DEFAULT_PORT)
    try:
        if not (port.isdecimal() and 0 < int(port) < 65_536):
            raise OptionsError(f"VIEW_PORT={port} is no port: give a number from 1 to 65535")
        served = application(stores(), time_zone())
    except OptionsError as error:
        print(f"view: {error}", file=sys.stderr)
        return 2
    print(f"The dashboards are at http://127.0.0.1:{port}; Ctrl-C ends it", flush=True)
    uvicorn.run(served, host="127.0.0.1", port=int(port), log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(told(main))
