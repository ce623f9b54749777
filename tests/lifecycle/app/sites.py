"""The whole app for a test."""

from __future__ import annotations

from lifecycle.app.account.openid import OpenIdProvider, OpenIdSettings
from lifecycle.app.approvals.present import Comparisons
from lifecycle.app.audit.chain_state import ChainWatch
from lifecycle.app.site import Site, create_site
from lifecycle.usecases.context import Context

_KEPT: dict[tuple[str | None, bool], Site] = {}


def site_of(context: Context, openid: OpenIdSettings | None = None, *, dagster: str | None = None) -> Site:
    """The app as `create_site` makes it: one of each kind for all tests, on the store of the one that asks.

    FastAPI works out what each route depends on at an app's first request, which takes longer than most tests.
    """
    kind = (dagster, openid is not None)
    if kind not in _KEPT:
        _KEPT[kind] = create_site(context, openid, dagster=dagster)
    site = _KEPT[kind]
    for app in (site.api, site.pages):
        app.state.context = context
    site.api.state.openid = OpenIdProvider(openid) if openid else None
    site.pages.state.chain = ChainWatch(context.store)
    site.pages.state.comparisons = Comparisons()
    return site
