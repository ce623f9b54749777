"""Making the app."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI

from lifecycle.app.account import api as sessions
from lifecycle.app.account import openid_api as oidc
from lifecycle.app.account.openid import OpenIdProvider, OpenIdSettings
from lifecycle.app.audit import api as live
from lifecycle.app.kit.listed import check_listed
from lifecycle.app.kit.rest.guard import guard
from lifecycle.app.kit.rest.problems import PROBLEMS, Problem, add_handlers
from lifecycle.app.kit.rest.routes import router_of
from lifecycle.app.kit.rest.table import TABLE
from lifecycle.usecases.context import Context
from lifecycle.verbs.table import ROWS

# What is no verb: it is about a browser's session, or goes on for as long as somebody listens.
MODULES = (sessions, oidc, live)


def create_app(context: Context, openid: OpenIdSettings | None = None) -> FastAPI:
    """The approvals app on a store and its ports; with `openid` people may sign in at that provider, too.

    Raises RuntimeError when a route has no entry in the table of permissions.
    """
    app = FastAPI(
        title="DRLS lifecycle",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        dependencies=[Depends(guard)],
        responses=PROBLEMS,
    )
    app.state.context = context
    app.state.openid = OpenIdProvider(openid) if openid else None
    routers = [router_of(ROWS), *(module.router for module in MODULES)]
    for router in routers:
        app.include_router(router)
    add_handlers(app)
    check_listed([app.router, *routers], TABLE, "lifecycle.app.kit.rest.table")
    # Made when somebody asks for it: it takes longer than everything else here.
    app.openapi = lambda: _describe(app)
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with what FastAPI does not know: the problem schema and the ways to sign in."""
    if app.openapi_schema:
        return app.openapi_schema
    document = FastAPI.openapi(app)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "drls_session"},
    }
    document["security"] = [{"token": []}, {"session": []}]
    return document
