"""The page to try it all, and its files."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

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


@router.get("/", response_class=FileResponse, responses={200: {"content": {"text/html": {}}}})
async def page() -> FileResponse:
    """A small page: upload, ask, see the sources, rate."""
    return FileResponse(_FOLDER / "index.html", media_type="text/html", headers=_HEADERS)
