"""Conversations: sessions, their messages, and answers made from what retrieval finds."""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from app.core.config import Settings
from app.core.errors import ProblemError
from app.services.ai.base import AIError, Prompt, Turn, Usage
from app.services.ai.service import AIService
from app.services.metrics_service import metrics
from app.services.rag import RagService, Retrieval
from app.stores.documents import DocumentStore, Record, StoreUnavailable


@dataclass(slots=True)
class Answer:
    """An answer in the making: it is complete once `ChatService.tokens` has run to its end."""

    session_id: str
    user_id: str | None
    prompt: Prompt
    retrieval: Retrieval
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    text: str = ""
    usage: Usage = field(default_factory=Usage)


class ChatService:
    """Opens and closes sessions, and answers in them."""

    def __init__(self, settings: Settings, store: DocumentStore, rag: RagService, ai: AIService) -> None:
        self._settings, self._store, self._rag, self._ai = settings, store, rag, ai

    @property
    def model(self) -> str:
        """The model that answers."""
        return self._ai.chat_model

    async def open_session(self, user_id: str | None) -> Record:
        """A new session."""
        now = time.time()
        session = {
            "id": str(uuid.uuid4()),
            "user_id": user_id,
            "created_at": now,
            "last_active_at": now,
            "closed_at": None,
        }
        await self._store.insert("sessions", session)
        return session

    async def close_session(self, session_id: str) -> None:
        """Closes a session; 404 when there is none open of this id."""
        if not await self._store.update("sessions", {"id": session_id, "closed_at": None}, {"closed_at": time.time()}):
            raise ProblemError(404, "No open session has this id; open one with POST /api/v1/chat/sessions.")

    async def ask(self, session_id: str, question: str, user_id: str | None) -> Answer:
        """Keeps the question and finds its sources. The answer itself comes out of `tokens`."""
        now = time.time()
        touched = await self._store.update("sessions", {"id": session_id, "closed_at": None}, {"last_active_at": now})
        if not touched:
            raise ProblemError(404, "No open session has this id; open one with POST /api/v1/chat/sessions.")
        limit = self._settings.max_history_turns
        about = {"session_id": session_id}
        history = await self._store.find("messages", about, sort="created_at", limit=limit) if limit else []
        await self._add_message(str(uuid.uuid4()), session_id, user_id, "user", question, now)
        metrics.track_chat_message("human")
        turns = [Turn(turn["role"], turn["text"]) for turn in reversed(history)]
        retrieval = await self._rag.retrieve(question)
        return Answer(session_id, user_id, Prompt(question, retrieval.passages, turns), retrieval)

    async def tokens(self, answer: Answer) -> AsyncIterator[str]:
        """The answer, piece by piece; it is kept when it is complete.

        Raises `AIError` or `StoreUnavailable`, counted as a failed query.
        """
        pieces: list[str] = []
        try:
            async with aclosing(self._ai.stream(answer.prompt)) as chunks:
                async for chunk in chunks:
                    if chunk.text:
                        pieces.append(chunk.text)
                        yield chunk.text
                    answer.usage = chunk.usage or answer.usage
        except AIError as error:
            answer.retrieval.report("timeout" if error.reason == "timeout" else "ai")
            raise
        answer.text = "".join(pieces)
        try:
            await self._add_message(
                answer.message_id, answer.session_id, answer.user_id, "assistant", answer.text, time.time()
            )
        except StoreUnavailable:
            answer.retrieval.report("document_store")
            raise
        metrics.track_chat_message("assistant")
        answer.retrieval.report()

    async def active_sessions(self) -> int:
        """Sessions that are open and were used lately."""
        since = time.time() - self._settings.session_idle_seconds
        return await self._store.count("sessions", {"closed_at": None, "last_active_at": {"$gte": since}})

    async def active_users(self) -> int:
        """Users whose sessions were used lately."""
        since = time.time() - self._settings.active_user_seconds
        return await self._store.count("sessions", {"last_active_at": {"$gte": since}}, distinct="user_id")

    async def _add_message(
        self, message_id: str, session_id: str, user_id: str | None, role: str, text: str, created_at: float
    ) -> None:
        message: dict[str, Any] = {
            "id": message_id,
            "session_id": session_id,
            "user_id": user_id,
            "role": role,
            "text": text,
            "created_at": created_at,
        }
        await self._store.insert("messages", message)
