"""The page to try it all, and its files."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.api.dependencies import ServicesDep

router = APIRouter(tags=["page"])

_FOLDER = Path(__file__).parent.parent / "static"
#: The page runs its own files alone, talks to its own host alone, and cannot turn text into markup by mistake.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again each time, so that its files are always of one version
}


class _PageFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(_HEADERS)
        return response


static_files = _PageFiles(directory=_FOLDER)
_PAGE = (_FOLDER / "index.html").read_text(encoding="utf-8")
_PAGE_WITH_KEY = _PAGE.replace('<form id="access" class="access" hidden>', '<form id="access" class="access">')


@router.get("/", response_class=HTMLResponse)
async def page(services: ServicesDep) -> HTMLResponse:
    """A small page: upload, ask, see the sources, rate; with a field for the key where one is needed."""
    return HTMLResponse(_PAGE_WITH_KEY if services.settings.api_keys_required else _PAGE, headers=_HEADERS)
