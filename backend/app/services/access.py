"""API keys: what each may do, and how often.

A key is shown once, when it is made; the store has the SHA-256 of its secret. Those are 256 random bits, which nobody
finds by trying: what makes passwords dear to try (bcrypt and its like) would cost each request 50 ms for nothing.

Every replica knows all keys and reads them anew every `REFRESH_SECONDS`. So no request waits for the store, whoever has
no key cannot make it work, and keys are known while it is away; a new key, and the end of one, takes that long to be
heard of. A key's rate is counted in each replica alone: behind N replicas it may be used N times as often.
"""

import asyncio
import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.core.errors import ProblemError
from app.core.logging_config import logger
from app.services.metrics_service import metrics
from app.stores.documents import DocumentStore, Record, StoreUnavailable

SCOPES = ("chat", "documents", "admin")
REFRESH_SECONDS = 5.0
#: All of them are in memory.
MAX_KEYS = 1000

#: `sk-` in front, so that redaction (and every scanner of repositories) takes one for what it is.
_form = re.compile(r"sk-specola-([0-9a-f]{16})-([A-Za-z0-9_-]{43})").fullmatch
_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}").fullmatch
#: What an unknown key is compared with, so that it takes as long as a known one.
_NOBODY = secrets.token_hex(32)


class Refused(ProblemError):
    """A call without sufficient credentials; `reason` is one of metrics' `AUTHENTICATION_FAILURES`."""

    def __init__(self, reason: str, detail: str, scope: str = "", key_id: str | None = None) -> None:
        super().__init__(403 if scope else 401, detail)
        error = {"missing": "", "scope": f', error="insufficient_scope", scope="{scope}"'}
        challenge = error.get(reason, ', error="invalid_token"')
        self.headers = {"WWW-Authenticate": f'Bearer realm="specola"{challenge}'}
        self.reason, self.key_id = reason, key_id

    def report(self) -> None:
        """Counts it, and writes a line with the public part of the key, if it has one of ours."""
        metrics.authentication_failures.labels(self.reason).inc()
        logger.warning("credentials refused", reason=self.reason, key_id=self.key_id)


@dataclass(slots=True)
class _Known:
    """A key as this replica has it, and what is left of its rate: a bucket that fills in a minute."""

    record: Record
    left: float
    filled_at: float


class ApiKeys:
    """The keys, in the store and in memory. A rate is in calls a minute; 0 is without a limit."""

    def __init__(self, store: DocumentStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._known: dict[str, _Known] = {}

    async def make(self, name: str, scopes: Iterable[str], rate: int) -> str:
        """A new key, which nobody can be shown again. ValueError for what makes no sense."""
        wanted, records = sorted(set(scopes)), await self.all()
        if not _name(name):
            raise ValueError("a name has 1 to 64 letters, digits, spaces, dots, hyphens and underscores")
        if not wanted or not set(wanted) <= set(SCOPES):
            raise ValueError(f"the scopes of a key are some of {', '.join(SCOPES)}")
        if rate < 0:
            raise ValueError("a rate is in calls a minute; 0 is without a limit")
        if any(record["name"] == name and record["revoked_at"] is None for record in records):
            raise ValueError(f"there is a key of the name {name!r}: choose another, or revoke that one")
        if len(records) >= MAX_KEYS:
            raise ValueError(f"there are {MAX_KEYS} keys, revoked ones included, and no more can be kept")
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        record = {"id": key_id, "name": name, "digest": _digest(secret), "scopes": wanted, "rate_per_minute": rate}
        await self._store.insert("api_keys", {**record, "created_at": time.time(), "revoked_at": None})
        return f"sk-specola-{key_id}-{secret}"

    async def all(self) -> list[Record]:
        """Every key, revoked ones too, the newest first; none of them holds its secret."""
        return await self._store.find("api_keys", {}, sort="created_at", limit=MAX_KEYS)

    async def revoke(self, which: str) -> int:
        """Ends the key of this id or name; returns how many that were."""
        changes = {"revoked_at": time.time()}
        return sum(
            [
                await self._store.update("api_keys", {field: which, "revoked_at": None}, changes)
                for field in ("id", "name")
            ]
        )

    async def refresh(self) -> None:
        """Reads the keys; what is left of their rates stays."""
        records = await self.all()  # until they are here, the keys of before hold
        for gone in self._known.keys() - {record["id"] for record in records}:
            del self._known[gone]
        for record in records:
            full = _Known(record, float(record["rate_per_minute"]), self._clock())
            self._known.setdefault(record["id"], full).record = record

    async def run(self) -> None:
        """Stays in step until cancelled. A store that cannot be read leaves the keys as they were."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except StoreUnavailable as error:
                logger.debug("keys not refreshed", reason=str(error))

    def check(self, key: str, scope: str) -> None:
        """Returns when this key may do what needs this scope, now. Raises `Refused`, or a 429."""
        form = _form(key)
        if not form:
            raise Refused("malformed", "This is no API key: one begins with sk-specola-. `make api-key` makes one.")
        known = self._known.get(form[1])
        equal = hmac.compare_digest(known.record["digest"] if known else _NOBODY, _digest(form[2]))
        if known is None or not equal:
            raise Refused("unknown", "No such API key; a new one is known after a few seconds.")
        if known.record["revoked_at"] is not None:
            raise Refused("revoked", "This API key was revoked.", key_id=form[1])
        if scope not in known.record["scopes"]:
            raise Refused("scope", f"This API key lacks the scope {scope}.", scope, form[1])
        self._spend(known)

    def _spend(self, known: _Known) -> None:
        rate, now = known.record["rate_per_minute"], self._clock()
        if not rate:
            return
        known.left = min(rate, known.left + (now - known.filled_at) * rate / 60)
        known.filled_at = now
        if known.left < 1:
            detail = f"This API key may be used {rate} times a minute; try again later."
            raise ProblemError(429, detail, retry_after=math.ceil((1 - known.left) * 60 / rate))
        known.left -= 1


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
