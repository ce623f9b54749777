"""The whole app as one: REST under /api, pages everywhere else."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from lifecycle.app.create import create_app
from lifecycle.app.openid import OpenIdSettings
from lifecycle.app.pages.create import create_pages
from lifecycle.usecases.context import Context


class Site:
    """Sends what is asked under /api to the REST app, everything else to the pages.

    They are two apps because they say no differently: one in problem+json, the other in HTML.
    """

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        self._api, self._pages = api, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        app = self._api if path == "/api" or path.startswith("/api/") else self._pages
        await app(scope, receive, send)


def create_site(context: Context, openid: OpenIdSettings | None = None, *, dagster: str | None = None) -> Site:
    """The approvals app on a store and its ports; `dagster`: where Dagster's UI is behind the same address."""
    return Site(create_app(context, openid), create_pages(context, openid=openid is not None, dagster=dagster))
