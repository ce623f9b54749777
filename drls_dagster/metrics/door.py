"""/metrics of a server, for whoever shows its token; everything else passes, and is counted."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from drls_dagster.errors import UsageError
from drls_dagster.metrics.counting import Counted, RequestCounts
from drls_dagster.metrics.installation import InstallationFigures
from drls_dagster.metrics.shared import added_up, count_in
from drls_dagster.runs.address import PATH as RUNS
from drls_dagster.secret_source import read_secret
from drls_dagster.serving.asked import shown_token
from drls_dagster.settings import Settings
from lifecycle.store.store import Store

PATH = "/metrics"
SHORTEST = 20
_SETTING = "metrics.token"
_NEVER_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def metrics_token(settings: Settings) -> str | None:
    """The token of /metrics; None where there is none, and so no /metrics. Raises DrlsError for one easy to guess."""
    if settings.metrics.token is None:
        return None
    token = read_secret(_SETTING, settings.metrics.token)
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{_SETTING}: the token needs {SHORTEST} letters or digits; make one: openssl rand -hex 32")
    return token


class MetricsDoor:
    """It asks for no host name: a foreign page that was made to lead here does not know the token."""

    def __init__(self, app: ASGIApp, token: str, collectors: Iterable[Collector]) -> None:
        self._app, self._token = app, token
        self._registry = CollectorRegistry()
        for one in collectors:
            self._registry.register(one)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await (await self._answer(Request(scope)))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not hmac.compare_digest(shown_token(request).strip().encode(), self._token.encode()):
            headers = {**_NEVER_KEPT, "WWW-Authenticate": "Bearer"}
            return PlainTextResponse("Show the token of the setting metrics.token.\n", 401, headers)
        if request.method != "GET":
            return PlainTextResponse("Only GET.\n", 405, {**_NEVER_KEPT, "Allow": "GET"})
        numbers = await run_in_threadpool(generate_latest, self._registry)
        return Response(numbers, headers=_NEVER_KEPT, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def with_metrics(
    app: ASGIApp, token: str | None, settings: Settings, store: Store, since: int, folder: Path | None, *groups: str
) -> ASGIApp:
    """`app` with /metrics, where there is a token. Call it in the process that answers.

    `since`: see InstallationFigures. `folder`: where the processes of this server count together; None: there is one.
    """
    if token is None:
        return app
    registry = CollectorRegistry()
    counts = RequestCounts(registry) if folder is None else count_in(folder)
    requests = registry if folder is None else added_up(folder)
    figures = InstallationFigures(store, settings, since)
    return MetricsDoor(Counted(app, counts, (*groups, RUNS)), token, (requests, figures))
