"""The whole app for a test."""

from __future__ import annotations

from lifecycle.app.account.openid import OpenIdSettings
from lifecycle.app.kit.needs import PageNeed
from lifecycle.app.kit.parts import DagsterAt, Parts
from lifecycle.app.kit.section import load_sections, parts_of
from lifecycle.app.kit.static_files import STATIC
from lifecycle.app.sections import SECTIONS
from lifecycle.app.site import Site, create_site
from lifecycle.usecases.context import Context
from lifecycle.verbs.table import Need

_KEPT: dict[tuple[str | None, bool], Site] = {}

# Who may open each page, and who may call each REST route.
PAGES: dict[tuple[str, str], PageNeed] = {}
TABLE: dict[tuple[str, str], Need] = {}
for _section in (STATIC, *load_sections(SECTIONS)):
    PAGES |= _section.pages.access
    TABLE |= _section.api.access


def site_of(context: Context, openid: OpenIdSettings | None = None, *, dagster: str | None = None) -> Site:
    """The app as `create_site` makes it: one of each kind for all tests, on the store of the one that asks.

    FastAPI works out what each route depends on at an app's first request, which takes longer than most tests.
    """
    kind = (dagster, openid is not None)
    connected = Parts((dagster and DagsterAt(dagster), openid))
    if kind not in _KEPT:
        _KEPT[kind] = create_site(context, connected=connected.things)
    site = _KEPT[kind]
    parts = parts_of(context, site.sections, connected)
    for app in (site.api, site.pages):
        app.state.context, app.state.parts = context, parts
    return site
