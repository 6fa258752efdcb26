"""The metrics, for Prometheus."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from app.services.exposition import exposition_for
from app.services.metrics_service import metrics

router = APIRouter(tags=["operations"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def exposition(accept: Annotated[str, Header()] = "") -> Response:
    """Prometheus text, or OpenMetrics with exemplars when the Accept header asks for it."""
    asked = exposition_for(metrics.registry, accept)
    return Response(await asked.render(), media_type=asked.content_type)
