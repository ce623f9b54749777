"""Putting the pages together."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from lifecycle.app.listed import check_listed
from lifecycle.app.pages import (
    approvals,
    audit,
    break_glass,
    compare,
    data_diff,
    demote,
    drifts,
    environments,
    evidence_session,
    holds,
    home,
    notifications,
    people,
    pipeline,
    pipeline_actions,
    pipelines,
    policies,
    profile,
    promote,
    retire,
    review,
    rollback,
    settings,
    sign_in,
    static,
)
from lifecycle.app.pages.chain_state import ChainWatch
from lifecycle.app.pages.guard import page_guard
from lifecycle.app.pages.present import Comparisons
from lifecycle.app.pages.problems import add_handlers
from lifecycle.app.pages.render import make_kit
from lifecycle.app.pages.security import Secured
from lifecycle.app.pages.table import PAGES
from lifecycle.usecases.context import Context

MODULES = (
    static,
    sign_in,
    home,
    approvals,
    audit,
    break_glass,
    compare,
    data_diff,
    demote,
    drifts,
    environments,
    evidence_session,
    holds,
    notifications,
    people,
    pipeline,
    pipeline_actions,
    pipelines,
    policies,
    profile,
    promote,
    retire,
    review,
    rollback,
    settings,
)


def create_pages(context: Context, *, openid: bool = False, dagster: str | None = None) -> FastAPI:
    """The pages on a store; `dagster` is the path under which Dagster's UI is reached, None where it is not.

    Raises RuntimeError when a page has no entry in the table of permissions.
    """
    app = FastAPI(title="DRLS", openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(page_guard)])
    app.state.context = context
    app.state.kit = make_kit(dagster=dagster, openid=openid)
    app.state.chain = ChainWatch(context.store)
    app.state.comparisons = Comparisons()
    for module in MODULES:
        app.include_router(module.router)
    add_handlers(app)
    check_listed((module.router for module in MODULES), PAGES, "lifecycle.app.pages.table")
    # The last one added is the outermost.
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(Secured)
    return app
