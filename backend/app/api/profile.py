"""Where the time goes, now: a profile of the event loop as a page."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from app.core.errors import ProblemError, problem_responses
from app.core.logging_config import logger
from app.core.profiling import LoopProfile

router = APIRouter(prefix="/internal/profile", tags=["operations"])

#: The page is whole in itself: no font is asked of another host.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
#: Held while a profile is taken: two would disturb each other.
_taking = asyncio.Lock()


@router.get("", response_class=HTMLResponse, responses=problem_responses(409))
async def take_profile(
    seconds: Annotated[float, Query(gt=0, le=30, description="How long to look")] = 5.0,
) -> HTMLResponse:
    """Looks at this replica's event loop for a while; 409 while another profile is taken."""
    if _taking.locked():
        raise ProblemError(409, "A profile is being taken; ask again when it has ended, within 30 s.")
    async with _taking:
        logger.info("profile started", seconds=seconds)
        begun = time.monotonic()
        profile = LoopProfile()
        profile.start()
        try:
            await asyncio.sleep(seconds)
        finally:
            profile.stop()
            logger.info("profile ended", seconds=round(time.monotonic() - begun, 3))
        return HTMLResponse(await asyncio.to_thread(profile.html), headers={"Content-Security-Policy": POLICY})
