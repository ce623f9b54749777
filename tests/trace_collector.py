"""A collector of traces that speaks OTLP over HTTP, in this process."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Collector:
    """What arrived: spans as OTLP has them, and the requests' bodies."""

    url: str
    spans: list[Any] = field(default_factory=list[Any])
    bodies: list[bytes] = field(default_factory=list[bytes])
    answer: int = 200

    def named(self, name: str, trace: str = "") -> Any:
        """The one span of a name, in a trace."""
        (found,) = [one for one in self.spans if one.name == name and trace in ("", one.trace_id.hex())]
        return found

    def in_trace(self, trace: str) -> list[Any]:
        return [one for one in self.spans if one.trace_id.hex() == trace]


def attributes(span: Any) -> dict[str, Any]:
    """Those of a span, by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens."""
    found = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            right = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
            if right and found.answer == 200:
                found.bodies.append(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    found.spans += [one for scope in resource.scope_spans for one in scope.spans]
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(found.answer if right else 400)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join(10)
