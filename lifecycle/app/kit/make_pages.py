"""The pages of a site's sections as one app."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from lifecycle.app.kit.guard import page_guard
from lifecycle.app.kit.parts import DagsterAt, Parts
from lifecycle.app.kit.problems import add_handlers
from lifecycle.app.kit.render import make_kit
from lifecycle.app.kit.section import Section
from lifecycle.app.kit.security import Secured
from lifecycle.usecases.context import Context


def make_pages(context: Context, sections: tuple[Section, ...], parts: Parts) -> FastAPI:
    """The pages on a store; the sections were looked at by `check_sections`."""
    app = FastAPI(title="DRLS", openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(page_guard)])
    dagster = parts.find(DagsterAt)
    app.state.context = context
    app.state.parts = parts
    app.state.kit = make_kit(sections, dagster=dagster and dagster.path)
    app.state.access = {route: need for section in sections for route, need in section.pages.access.items()}
    for router in (router for section in sections for router in section.pages.routers):
        app.include_router(router)
    add_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(Secured)
    return app
