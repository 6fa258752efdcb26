"""OpenAI's protocol on the wire: what the answers mean, and which `AIError` each failure is.

Nothing here repeats a body: it may quote the prompt, and an error's message ends in logs and in answers.
"""

import math
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from app.services.ai.base import AIError, ErrorReason, Usage

#: A line of a stream longer than this is not this protocol (bytes; real ones have some hundreds).
MAX_LINE = 1_000_000

_HINTS = {
    400: "the request was refused; it may be too long, stopped by a content filter, "
    "or the API version too old for streamed usage",
    401: "the key is not valid; check {key}",
    403: "the key may not do this; check {key} and the network rules of the resource",
    404: "there is no such address, model or deployment; check {address} and {models}",
}


@dataclass(frozen=True, slots=True)
class Where:
    """What an error names: the provider's address, and the settings that decide it."""

    host: str
    key: str
    address: str
    models: str

    def hint(self, status: int) -> str:
        """What to do about this HTTP status."""
        if status in _HINTS:
            return _HINTS[status].format(key=self.key, address=self.address, models=self.models)
        if status == 429:
            return "the rate limit or quota is used up; ask for less, or for a higher limit"
        if status >= 500 or status == 408:
            return "the fault is on its side"
        return f"check {self.address}"


@dataclass(frozen=True, slots=True)
class Delta:
    """One event of a streamed answer."""

    text: str
    finish_reason: str | None
    usage: Usage | None


def status_error(response: httpx.Response, where: Where) -> AIError | None:
    """The error that this response is, if it is one."""
    status = response.status_code
    if response.is_success:
        return None
    reason: ErrorReason = "client_error"
    if status == 429:
        reason = "rate_limited"
    elif status == 408:
        reason = "timeout"
    elif status >= 500:
        reason = "server_error"
    message = f"{where.host} answered {status}: {where.hint(status)}"
    return AIError(reason, message, retry_after(response.headers), misconfigured=status in (401, 403, 404))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asks to wait: Azure's `retry-after-ms`, or `Retry-After` (seconds or a date)."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
            return float(value) / unit
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, OverflowError):
        return None
    # A date without a zone is meant as UTC (RFC 9110).
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


async def events(response: httpx.Response, where: Where) -> AsyncIterator[bytes]:
    """The data of each server-sent event, up to `[DONE]`; what follows is read to the end, or the connection is lost.

    Split by hand, because httpx's `aiter_lines` also splits at U+2028 and its like, which JSON text may hold.
    """
    rest = b""
    done = False
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MAX_LINE:
            raise malformed(where)
        for line in lines:
            if line.startswith(b"data:") and not done:
                data = line[5:].strip()
                done = data == b"[DONE]"
                if not done:
                    yield data


def delta(data: bytes, where: Where) -> Delta:
    """An event's meaning. Azure's first event has no choice in it, and the last one, with the usage, never has."""
    try:
        event = orjson.loads(data)
        if event.get("error"):
            raise AIError("server_error", f"{where.host} reported an error in the middle of its answer")
        choice = (event.get("choices") or [{}])[0]
        text = (choice.get("delta") or {}).get("content") or ""
        finish_reason, counted = choice.get("finish_reason"), event.get("usage")
        if not isinstance(text, str) or not isinstance(finish_reason, str | None):
            raise TypeError
        return Delta(text, finish_reason, _usage(counted) if counted else None)
    except (ValueError, TypeError, AttributeError, LookupError):
        raise malformed(where) from None


def embeddings(body: bytes, count: int, where: Where) -> tuple[list[list[float]], Usage | None]:
    """The vectors of an embeddings response, in the order of the texts."""
    try:
        parsed = orjson.loads(body)
        items = sorted(parsed["data"], key=lambda item: int(item["index"]))
        vectors = [[float(number) for number in item["embedding"]] for item in items]
        if not all(all(map(math.isfinite, vector)) for vector in vectors):
            raise ValueError("an embedding is made of finite numbers")
        usage = _usage(parsed["usage"]) if parsed.get("usage") else None
    except (ValueError, TypeError, AttributeError, LookupError):
        raise malformed(where) from None
    if len(vectors) != count:
        raise AIError("protocol", f"{where.host} gave {len(vectors)} embeddings for {count} texts")
    return vectors, usage


def model_list(body: bytes, where: Where) -> None:
    """Raises unless this is a list of models, so that a login page is not taken for a provider."""
    try:
        if not isinstance(orjson.loads(body)["data"], list):
            raise TypeError
    except (ValueError, TypeError, LookupError):
        raise malformed(where) from None


def malformed(where: Where) -> AIError:
    """The error for an answer that is not in the protocol."""
    return AIError("protocol", f"{where.host} answered something else than OpenAI's protocol; check {where.address}")


def _usage(counted: Any) -> Usage:
    # An embedding has no completion tokens.
    return Usage(_count(counted["prompt_tokens"]), _count(counted.get("completion_tokens") or 0))


def _count(number: Any) -> int:
    if (count := int(number)) < 0:
        raise ValueError("a number of tokens is not negative")
    return count
