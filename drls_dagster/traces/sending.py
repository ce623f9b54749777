"""Spans on their way out: OTLP over HTTP, in the background, from a queue that drops what does not fit.

Only a process of the platform sends. OpenTelemetry is imported when the first span is made, and only where the setting
`traces.endpoint` names who takes them.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from drls_dagster.settings import Settings
from drls_dagster.traces.place import Place

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanContext

Value = str | int | bool
_LOG = logging.getLogger(__name__)
_SECONDS = 2.0  # for one message
_QUEUE, _BATCH, _EVERY_MS = 2_048, 256, 1_000
_LONGEST = 200


@dataclass
class Span:
    """A span, over or still open; times in nanoseconds since the epoch. `failed`: the kind of what it raised."""

    name: str
    place: Place | None = None
    above: Place | None = None
    is_server: bool = False
    attributes: dict[str, Value] = field(default_factory=dict[str, Value])
    began: int = 0
    ended: int = 0
    failed: str = ""


class Sender:
    """Sends the spans of this process."""

    def __init__(self, endpoint: str) -> None:
        from importlib.metadata import version

        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # What it says of each message that does not arrive, `_Told` says once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = Resource({"service.name": "drls", "service.version": version("drls-dagster")})
        self._queue = BatchSpanProcessor(
            _told(OTLPSpanExporter(endpoint, timeout=_SECONDS), endpoint),
            max_queue_size=_QUEUE,
            schedule_delay_millis=_EVERY_MS,
            max_export_batch_size=_BATCH,
            export_timeout_millis=_SECONDS * 1000,
        )
        atexit.register(self._queue.shutdown)

    def send(self, span: Span) -> None:
        """Queues one; never waits and never raises for the collector's sake."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanKind, Status, StatusCode

        assert span.place is not None  # noqa: S101 (it is over)
        self._queue.on_end(
            ReadableSpan(
                span.name[:_LONGEST],
                context=_context(span.place),
                parent=None if span.above is None else _context(span.above),
                resource=self._resource,
                attributes=_within(span.attributes),
                kind=SpanKind.SERVER if span.is_server else SpanKind.INTERNAL,
                status=Status(StatusCode.ERROR, span.failed) if span.failed else Status(),
                start_time=span.began,
                end_time=span.ended,
            )
        )

    def flush(self) -> None:
        """Sends what waits."""
        self._queue.force_flush()


def sender_of(settings: Settings) -> Sender | None:
    """This process's own; None where traces are off, or cannot be made, which the log says once."""
    endpoint = settings.traces.endpoint
    return None if endpoint is None else _sender(endpoint, os.getpid())


@lru_cache(maxsize=4)
def _sender(endpoint: str, _pid: int) -> Sender | None:
    try:
        return Sender(address(endpoint))
    except ImportError:
        _LOG.warning(
            "traces.endpoint is set, but OpenTelemetry is not installed, so there are no traces; "
            "pip install 'drls-dagster[traces]'"
        )
        return None


def address(endpoint: str) -> str:
    """Where a collector takes spans: below its address, unless that names a path."""
    _, _, rest = endpoint.partition("://")
    _, _, path = rest.partition("/")
    return endpoint if path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"


def _context(place: Place) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags

    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(place.trace, 16), int(place.span, 16), is_remote=False, trace_flags=flags)


def _within(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in attributes.items()}


def _told(exporter: SpanExporter, endpoint: str) -> SpanExporter:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Told(SpanExporter):
        """Logs when the collector stops answering, and when it answers again; not each message in between."""

        is_down = False

        def export(self, spans: list[ReadableSpan]) -> SpanExportResult:  # type: ignore[override]
            found = exporter.export(spans)
            is_down = found is not SpanExportResult.SUCCESS
            if is_down and not self.is_down:
                _LOG.warning("traces cannot be sent to %s; they are dropped until it answers", endpoint)
            elif self.is_down and not is_down:
                _LOG.warning("traces are sent to %s again", endpoint)
            self.is_down = is_down
            return found

        def shutdown(self) -> None:
            exporter.shutdown()

    return Told()
