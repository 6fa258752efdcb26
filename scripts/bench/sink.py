"""A place that takes spans over OTLP/HTTP, as Tempo does, and can say what arrived: both sides export to it."""

import gzip
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Sink:
    """Listens on a free port of this machine between `with` and its end."""

    def __init__(self) -> None:
        bodies: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # the connection is kept, as a real one would be
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """A line a batch would be of no use."""

        self._bodies = bodies
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="sink", daemon=True)

    @property
    def endpoint(self) -> str:
        """Its address, without the path /v1/traces."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take_server_spans(self) -> dict[str, list[str]]:
        """The names of the server spans that arrived since it was last asked, by the service that sent them."""
        names: dict[str, list[str]] = defaultdict(list)
        bodies, self._bodies[:] = list(self._bodies), []
        for body in bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                labels = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found = [span.name for span in scope.spans if span.kind == Span.SPAN_KIND_SERVER]
                    names[labels.get("service.name", "")] += found
        return names

    def __enter__(self) -> "Sink":
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
