"""The REST routes of a site's sections as one app."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI

from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.rest.guard import guard
from lifecycle.app.kit.rest.problems import PROBLEMS, Problem, add_handlers
from lifecycle.app.kit.section import Section
from lifecycle.usecases.context import Context


def make_api(context: Context, sections: tuple[Section, ...], parts: Parts) -> FastAPI:
    """The REST routes on a store; the sections were looked at by `check_sections`."""
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
    app.state.parts = parts
    app.state.access = {route: need for section in sections for route, need in section.api.access.items()}
    for router in (router for section in sections for router in section.api.routers):
        app.include_router(router)
    add_handlers(app)
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
