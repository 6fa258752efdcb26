"""The page to try it all, and its files."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

router = APIRouter(tags=["page"])

_FOLDER = Path(__file__).parent.parent / "static"
static_files = StaticFiles(directory=_FOLDER)


@router.get("/", response_class=FileResponse, responses={200: {"content": {"text/html": {}}}})
async def page() -> FileResponse:
    """A small page: upload, ask, see the sources, rate."""
    return FileResponse(_FOLDER / "index.html", media_type="text/html")
