"""The metrics, for Prometheus."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client.exposition import choose_encoder

from app.services.metrics_service import metrics

router = APIRouter(tags=["operations"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def exposition(accept: Annotated[str, Header()] = "") -> Response:
    """Prometheus text, or OpenMetrics with exemplars when the Accept header asks for it."""
    encode, content_type = choose_encoder(accept)
    # In a thread: a few milliseconds in which other requests go on.
    body = await asyncio.to_thread(encode, metrics.registry)
    return Response(body, media_type=content_type)
