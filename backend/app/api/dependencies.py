"""What the routers get from the application: its services, and who asks."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from app.core.config import Settings
from app.core.logging_config import logger
from app.services.access import ApiKeys
from app.services.chat import ChatService
from app.services.extraction import Limits
from app.services.faults import FaultService
from app.services.health_service import HealthCheckService
from app.services.indexing import IndexingService
from app.services.satisfaction import SatisfactionService


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request may need, made once at start."""

    settings: Settings
    limits: Limits
    chat: ChatService
    indexing: IndexingService
    satisfaction: SatisfactionService
    health: HealthCheckService
    faults: FaultService
    keys: ApiKeys


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def _user_id(request: Request) -> str | None:
    return cast(str | None, request.state.user_id)


ServicesDep = Annotated[Services, Depends(_services)]
#: The hash of X-User-ID, or None.
UserDep = Annotated[str | None, Depends(_user_id)]


def log_content(services: Services, what: str, text: str) -> None:
    """Writes what people said or were told into a line, where LOG_CONTENT asks for it; redacted as every line is."""
    if services.settings.log_content:
        logger.info(what, content=text)
