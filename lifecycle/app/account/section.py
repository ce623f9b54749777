"""Signing in and out, and a person's own profile."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lifecycle.app.account import agents, api, openid_api, profile, sign_in
from lifecycle.app.account.openid import OpenIdProvider, OpenIdSettings
from lifecycle.app.kit import needs
from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.section import Api, Pages, Section
from lifecycle.usecases.context import Context
from lifecycle.verbs.table import OPEN, OWN_WRITE

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/sign-in"): needs.OPEN,
    ("POST", "/sign-in"): needs.OPEN,
    ("GET", "/sign-in/link"): needs.OPEN,
    ("POST", "/sign-in/link"): needs.OPEN,
    ("POST", "/sign-out"): needs.OWN,
    ("GET", "/profile"): needs.OWN,
    ("POST", "/profile/password"): needs.OWN,
    ("POST", "/profile/tokens"): needs.OWN,
    ("POST", "/profile/tokens/{token_id}/revoke"): needs.OWN,
    ("POST", "/profile/agents"): needs.OWN,
    ("POST", "/profile/agents/end"): needs.OWN,
    ("POST", "/profile/agents/{agent}/end"): needs.OWN,
}
API = {
    ("POST", "/api/session"): OPEN,
    ("POST", "/api/session/link"): OPEN,
    ("GET", "/api/session/oidc"): OPEN,
    ("GET", "/api/session/oidc/callback"): OPEN,
    ("DELETE", "/api/session"): OPEN,
    ("PUT", "/api/me/password"): OWN_WRITE.model_copy(update={"agents": False}),
}


def _provider(_context: Context, parts: Parts) -> Iterable[object]:
    settings = parts.find(OpenIdSettings)
    return [OpenIdProvider(settings)] if settings else []


SECTION = Section(
    "account",
    pages=Pages((sign_in.router, profile.router, agents.router), PAGES),
    api=Api((api.router, openid_api.router), API),
    templates=HERE / "templates",
    keeps=_provider,
)
