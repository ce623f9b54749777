"""Putting the pages together."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from lifecycle.app.account import profile, sign_in
from lifecycle.app.acts import break_glass, demote, drifts, evidence_session, holds, retire, rollback
from lifecycle.app.approvals import data_diff, promote, review
from lifecycle.app.approvals import pages as approvals
from lifecycle.app.approvals.present import Comparisons
from lifecycle.app.audit import pages as audit
from lifecycle.app.audit.chain_state import ChainWatch
from lifecycle.app.environments import pages as environments
from lifecycle.app.home import pages as home
from lifecycle.app.kit import static_files as static
from lifecycle.app.kit.guard import page_guard
from lifecycle.app.kit.listed import check_listed
from lifecycle.app.kit.problems import add_handlers
from lifecycle.app.kit.render import make_kit
from lifecycle.app.kit.security import Secured
from lifecycle.app.kit.table import PAGES
from lifecycle.app.pipelines import actions as pipeline_actions
from lifecycle.app.pipelines import compare, pipeline
from lifecycle.app.pipelines import pages as pipelines
from lifecycle.app.settings import notifications, people, policies
from lifecycle.app.settings import pages as settings
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
    check_listed((module.router for module in MODULES), PAGES, "lifecycle.app.kit.table")
    # The last one added is the outermost.
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(Secured)
    return app
