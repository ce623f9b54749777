"""The whole app as one: REST under /api, pages everywhere else."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from lifecycle.app.account.openid import OpenIdSettings
from lifecycle.app.kit.rest.door import Door
from lifecycle.app.make_api import create_app
from lifecycle.app.make_pages import create_pages
from lifecycle.usecases.context import Context


class Site:
    """Sends what is asked under /api to the REST app, everything else to the pages.

    They are two apps because they say no differently: one in problem+json, the other in HTML.
    """

    def __init__(self, api: FastAPI, pages: FastAPI) -> None:
        self.api, self.pages = api, pages
        self._door = Door(api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        app = self._door if path == "/api" or path.startswith("/api/") else self.pages
        await app(scope, receive, send)


def create_site(context: Context, openid: OpenIdSettings | None = None, *, dagster: str | None = None) -> Site:
    """The approvals app on a store and its ports; `dagster`: where Dagster's UI is behind the same address."""
    return Site(create_app(context, openid), create_pages(context, openid=openid is not None, dagster=dagster))
