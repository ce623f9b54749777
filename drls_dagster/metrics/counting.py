"""Counting requests: how many, with which answer, and how long each took to be answered."""

from __future__ import annotations

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.app.kit.request import REFUSED

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNKNOWN = "unknown"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestCounts:
    """What this process counts. Labels have as many values as there are routes, methods, statuses and error codes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # A second series for each, with the time at which it began: nobody here asks for it.
        disable_created_metrics()
        self._requests = Counter(
            "drls_http_requests", "Requests that were answered.", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "drls_http_request_duration_seconds",
            "Seconds from a request to the beginning of its answer.",
            ("route", "method"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._refusals = Counter(
            "drls_http_refusals", "Requests that DRLS refused or failed, by the code in the answer.", ("code",),
            registry=registry,
        )  # fmt: skip

    def begin(self) -> None:
        """The first series of each kind, at zero."""
        self._requests.labels(UNKNOWN, "GET", "404")
        self._seconds.labels(UNKNOWN, "GET")
        self._refusals.labels("unauthorized")

    def add(self, route: str, method: str, status: str, seconds: float, refused: str | None) -> None:
        self._requests.labels(route, method, status).inc()
        self._seconds.labels(route, method).observe(seconds)
        if refused is not None:
            self._refusals.labels(refused).inc()


class Counted:
    """Counts what `app` answers. `groups`: beginnings of paths that are not this app's own, and count as one route."""

    def __init__(self, app: ASGIApp, counts: RequestCounts, groups: tuple[str, ...] = ()) -> None:
        self._app, self._counts, self._groups = app, counts, groups

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, seconds = "", 0.0

        async def listening(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start" and not status:
                status, seconds = str(message["status"]), time.perf_counter() - began
            await send(message)

        try:
            await self._app(scope, receive, listening)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else UNKNOWN
            if not status:
                # Nobody answered: whoever asked has gone, or the server sends a 500 of its own.
                status, seconds = UNKNOWN, time.perf_counter() - began
            self._counts.add(self._route(scope), method, status, seconds, scope.get(REFUSED))

    def _route(self, scope: Mapping[str, object]) -> str:
        """The route's template, never the path that was asked for: anybody can ask for any."""
        path = str(scope["path"])
        for group in self._groups:
            if path == group or path.startswith(f"{group}/"):
                return group
        template = getattr(scope.get("route"), "path", None)
        return template if isinstance(template, str) else UNKNOWN
