"""From an ended span to Tempo, or to a file where no Tempo is: a bounded queue, and the one thread that empties it.

The SDK's own batch processor says nothing of what it dropped, logs each failed batch, and forgets the batches that
failed while Tempo restarted; and its exporter waits in a time limit of its own when the process shall end.
"""

import base64
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import httpx
import orjson
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from app.core.authority import trusted
from app.core.log_writer import LogFiles
from app.core.logging_config import logger
from app.core.span_encoding import encode
from app.services.metrics_service import metrics

#: Spans that may wait. One takes about 3 kB, so that Tempo's absence costs 25 MB at most.
QUEUE_SPANS = 8_192
#: Spans in one request to Tempo, or in one line of the file.
BATCH_SPANS = 512
#: Spans that are encoded in one go, which takes half a millisecond.
SLICE_SPANS = 64
#: How long a span may wait for its batch (seconds), and how long Tempo is left alone at most when it cannot be reached.
PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 10.0
#: Time limit of one request to Tempo (seconds).
SEND_SECONDS = 5.0
#: OTLP/HTTP: what may be sent again. Whatever else is not a success would be refused again.
PASSING_STATUSES = (429, 502, 503, 504)


class SpansNotSent(Exception):
    """A destination did not take these spans; `again` says whether it may take them later."""

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class Destination(Protocol):
    """Where spans go. It is used by one thread only."""

    def send(self, spans: Sequence[ReadableSpan]) -> int:
        """Delivers spans; returns how many of them were refused. Raises `SpansNotSent`."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...


class SpanQueue(SpanProcessor):
    """Hands ended spans to a destination, without ever making anyone wait. What it cannot hold is dropped and counted.

    An outage costs one line when it begins and one when it ends, however long it is.
    """

    def __init__(self, destination: Destination, limit: int = QUEUE_SPANS) -> None:
        self._destination, self._limit = destination, limit
        self._spans: deque[ReadableSpan] = deque()
        self._stop = threading.Event()
        self._pause, self._failing = PAUSE_SECONDS, False
        self._thread = threading.Thread(target=self._run, name="span-export", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Queues one span."""
        if len(self._spans) >= self._limit or self._stop.is_set():
            metrics.track_spans(dropped=1, reason="shutdown" if self._stop.is_set() else "queue_full")
        else:
            self._spans.append(span)

    def close(self, seconds: float) -> None:
        """Sends what waits, for `seconds` at most, and ends. What is left then is dropped and counted."""
        self._stop.set()
        self._thread.join(seconds)
        if self._spans:
            metrics.track_spans(dropped=len(self._spans), reason="shutdown")
            logger.warning("spans were lost at the end", spans=len(self._spans))
        if not self._thread.is_alive():
            self._destination.close()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._spans:
            batch = [self._spans.popleft() for _ in range(min(BATCH_SPANS, len(self._spans)))]
            try:
                refused = self._destination.send(batch)
            except SpansNotSent as failure:
                self._failed(failure, batch)
                if failure.again:
                    return
            except Exception as error:  # the thread must live on
                self._failed(SpansNotSent(f"{type(error).__name__}: {error}", again=False), batch)
            else:
                metrics.track_spans(exported=len(batch) - refused, dropped=refused)
                self._works()

    def _failed(self, failure: SpansNotSent, batch: list[ReadableSpan]) -> None:
        if failure.again:
            self._spans.extendleft(reversed(batch))
            self._pause = min(self._pause * 2, MAX_PAUSE_SECONDS)
        else:
            metrics.track_spans(dropped=len(batch))
        if not self._failing:
            self._failing = True
            logger.warning("spans cannot be sent", reason=str(failure))

    def _works(self) -> None:
        self._pause = PAUSE_SECONDS
        if self._failing:
            self._failing = False
            logger.info("spans can be sent again")


class Tempo:
    """Sends spans over OTLP/HTTP. `endpoint` is the address without the path, such as http://tempo:4318.

    `authority_file`: what signed its certificate, where that is not one of the machine's authorities.
    """

    def __init__(self, endpoint: str, authority_file: str = "") -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        # No proxy that the environment names: it is for the way to the internet.
        self._client = httpx.Client(timeout=SEND_SECONDS, trust_env=False, verify=trusted(authority_file))

    def send(self, spans: Sequence[ReadableSpan]) -> int:
        """One request."""
        body = b"".join(_encoded(spans))  # messages that follow one another are one message
        try:
            answer = self._client.post(self._url, content=body, headers={"Content-Type": "application/x-protobuf"})
        except httpx.HTTPError as error:
            raise SpansNotSent(f"{self._url} cannot be reached ({type(error).__name__})", again=True) from None
        if not answer.is_success:
            again = answer.status_code in PASSING_STATUSES
            raise SpansNotSent(f"{self._url} answered {answer.status_code}", again)
        return int(ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()


class SpanFiles:
    """Writes spans as OTLP's JSON, one export request a line."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files

    def send(self, spans: Sequence[ReadableSpan]) -> int:
        """One line."""
        resources: list[dict[str, Any]] = []
        for part in _encoded(spans):
            request = ExportTraceServiceRequest.FromString(part)
            resources += MessageToDict(request, use_integers_for_enums=True)["resourceSpans"]
        for resource in resources:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    for node in (span, *span.get("links", ())):
                        _hex_ids(node)
        try:
            self._files.write(orjson.dumps({"resourceSpans": resources}, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            self._files.close()
            raise SpansNotSent(f"the spans' file cannot be written: {error}", again=True) from None
        return 0

    def close(self) -> None:
        """Closes the file."""
        self._files.close()


def _encoded(spans: Sequence[ReadableSpan]) -> Iterator[bytes]:
    """The spans as OTLP, a few at a time: between two of them whoever waits for Python's lock has it.

    A whole batch at once would keep every request waiting for as long as the interpreter lets a thread, 5 ms.
    """
    for start in range(0, len(spans), SLICE_SPANS):
        yield encode(spans[start : start + SLICE_SPANS])
        time.sleep(0)


def _hex_ids(node: dict[str, Any]) -> None:
    """OTLP's JSON has ids in hexadecimal, unlike protobuf's own JSON, where bytes are base64."""
    for key in ("traceId", "spanId", "parentSpanId"):
        if key in node:
            node[key] = base64.b64decode(node[key]).hex()
