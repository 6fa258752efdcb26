"""Sessions and their messages."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from app.api.dependencies import Services, ServicesDep, UserDep, log_content
from app.core.errors import ProblemError, problem_body
from app.core.logging_config import current_request_id, logger
from app.services.ai.base import AIError
from app.services.chat import Answer
from app.stores.documents import StoreUnavailable

router = APIRouter(prefix="/chat/sessions", tags=["chat"])


class Session(BaseModel):
    """An open session."""

    session_id: str = Field(examples=["5f1c5b0e-2a57-4a0b-8a44-7f4b8b1f4a11"])
    created_at: float = Field(description="Unix seconds", examples=[1767225600.0])


class Question(BaseModel):
    """What a person asks."""

    content: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(
        description="At most MAX_QUESTION_CHARS characters", examples=["How do I add a metric?"]
    )
    stream: bool = Field(False, description="Answer with server-sent events: sources, token …, done")


class Source(BaseModel):
    """A document that the answer was made from."""

    document_id: str = Field(examples=["0b2d2c3e-8f0e-5d0e-9a53-2f3c1d6a7b10"])
    filename: str = Field(examples=["CONTRIBUTING.md"])
    title: str = Field(examples=["Contributing"])
    score: float = Field(description="Cosine of question and passage, at most 1", examples=[0.71])
    excerpt: str = Field(examples=["A metric is defined in metrics_service.py, with its unit and its labels."])


class Tokens(BaseModel):
    """As the provider counts them."""

    input: int = Field(examples=[412])
    output: int = Field(examples=[38])


class ChatAnswer(BaseModel):
    """An answer with its sources."""

    message_id: str = Field(
        description="Rate it by this with POST /api/v1/feedback", examples=["0b2d2c3e-8f0e-5d0e-9a53-2f3c1d6a7b10"]
    )
    session_id: str = Field(examples=["5f1c5b0e-2a57-4a0b-8a44-7f4b8b1f4a11"])
    answer: str = Field(examples=["Define it in metrics_service.py, with its unit and its labels."])
    sources: list[Source]
    model: str = Field(examples=["local-extractive"])
    tokens: Tokens
    request_id: str = Field(description="Find the request's logs and trace by it", examples=["0af7651916cd43dd"])


@router.post("", status_code=201)
async def open_session(services: ServicesDep, user: UserDep) -> Session:
    """Opens a session."""
    session = await services.chat.open_session(user)
    return Session(session_id=session["id"], created_at=session["created_at"])


@router.delete("/{session_id}", status_code=204)
async def close_session(services: ServicesDep, session_id: UUID) -> Response:
    """Closes a session."""
    await services.chat.close_session(str(session_id))
    return Response(status_code=204)


@router.post(
    "/{session_id}/messages",
    response_model=ChatAnswer,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def ask(services: ServicesDep, user: UserDep, session_id: UUID, question: Annotated[Question, Body()]) -> Any:
    """Answers a question from the indexed documents."""
    limit = services.settings.max_question_chars
    if len(question.content) > limit:
        raise ProblemError(
            422, f"The question has {len(question.content)} characters; at most {limit} are taken (MAX_QUESTION_CHARS)."
        )
    log_content(services, "question", question.content)
    answer = await services.chat.ask(str(session_id), question.content, user)
    if question.stream:
        return StreamingResponse(_events(services, answer), media_type="text/event-stream")
    async for _ in services.chat.tokens(answer):
        pass
    log_content(services, "answer", answer.text)
    return ChatAnswer(
        message_id=answer.message_id,
        session_id=answer.session_id,
        answer=answer.text,
        sources=[Source.model_validate(source) for source in answer.retrieval.sources],
        model=services.chat.model,
        tokens=Tokens(input=answer.usage.input_tokens, output=answer.usage.output_tokens),
        request_id=current_request_id(),
    )


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def _events(services: Services, answer: Answer) -> AsyncIterator[bytes]:
    """The answer as server-sent events. What fails after the start is an `error` event, for the status is gone."""
    try:
        yield _event("sources", answer.retrieval.sources)
        async for text in services.chat.tokens(answer):
            yield _event("token", {"text": text})
    except (GeneratorExit, asyncio.CancelledError):
        answer.retrieval.report()  # the client left, which is no failure of the query
        raise
    except (AIError, StoreUnavailable) as error:
        logger.error("stream broke off", reason=str(error))
        yield _event("error", problem_body(503, f"The answer broke off: {error}"))
        return
    log_content(services, "answer", answer.text)
    done = {
        "message_id": answer.message_id,
        "model": services.chat.model,
        "tokens": {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens},
        "request_id": current_request_id(),
    }
    yield _event("done", done)
