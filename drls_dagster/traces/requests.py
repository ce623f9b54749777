"""A span for each request that a server answers."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drls_dagster.settings import Settings
from drls_dagster.traces.place import HEADER, read_place
from drls_dagster.traces.spans import span

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FILES = "/static/"


def traced(app: ASGIApp, settings: Settings, groups: tuple[str, ...] = ()) -> ASGIApp:
    """The app as it is where traces are off. `groups`: beginnings of paths that other programs answer."""
    return app if settings.traces.endpoint is None else _Traced(app, settings, groups)


class _Traced:
    """The caller may say in which trace the request belongs: that decides where the span is shown, and nothing else.

    A span has the route's template, never the path or the query: anybody can ask for any.
    """

    def __init__(self, app: ASGIApp, settings: Settings, groups: tuple[str, ...]) -> None:
        self._app, self._settings, self._groups = app, settings, groups

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_FILES):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        given = read_place(Headers(scope=scope).get(HEADER))
        with span(self._settings, method, above=given, is_server=True) as made:
            if made.place is not None:
                # For a program behind this one, to which the request is handed on.
                MutableHeaders(scope=scope)[HEADER] = made.place.text

            async def listening(message: Message) -> None:
                if message["type"] == "http.response.start":
                    made.attributes["http.response.status_code"] = message["status"]
                    made.failed = "ServerError" if message["status"] >= 500 else ""
                await send(message)

            try:
                await self._app(scope, receive, listening)
            finally:
                route = self._route(scope)
                made.name = f"{method} {route}"
                made.attributes |= {"http.request.method": method, "http.route": route}

    def _route(self, scope: Scope) -> str:
        path = str(scope["path"])
        for group in self._groups:
            if path == group or path.startswith(f"{group}/"):
                return group
        template = getattr(scope.get("route"), "path", None)
        return template if isinstance(template, str) else "unknown"
