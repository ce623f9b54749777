"""Policies, people, teams and notifications."""

from __future__ import annotations

from pathlib import Path

from lifecycle.app.kit import needs
from lifecycle.app.kit.section import NavLink, Pages, Section
from lifecycle.app.settings import notifications, pages, people, policies

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/settings"): needs.READ,
    ("GET", "/settings/people"): needs.ADMIN,
    ("POST", "/settings/people"): needs.ADMIN,
    ("GET", "/settings/people/{person}"): needs.ADMIN,
    ("POST", "/settings/people/{person}/grants"): needs.ADMIN,
    ("POST", "/settings/people/{person}/password"): needs.ADMIN,
    ("POST", "/settings/people/{person}/link"): needs.ADMIN,
    ("POST", "/settings/people/{person}/subject"): needs.ADMIN,
    ("POST", "/settings/people/{person}/tokens"): needs.ADMIN,
    ("POST", "/settings/people/{person}/tokens/{token_id}/revoke"): needs.ADMIN,
    ("GET", "/settings/people/{person}/disable"): needs.ADMIN,
    ("POST", "/settings/people/{person}/disable"): needs.ADMIN,
    ("POST", "/settings/grants/{grant_id}/revoke"): needs.ADMIN,
    ("GET", "/settings/policies"): needs.READ,
    ("GET", "/settings/policies/{environment}"): needs.READ,
    ("POST", "/settings/policies/{environment}"): needs.ADMIN,
    ("GET", "/settings/policies/{environment}/edit"): needs.ADMIN,
    ("POST", "/settings/policies/{environment}/preview"): needs.ADMIN,
    ("GET", "/settings/policies/{environment}/delete"): needs.ADMIN,
    ("POST", "/settings/policies/{environment}/delete"): needs.ADMIN,
    ("GET", "/settings/notifications"): needs.ADMIN,
    ("GET", "/settings/notifications/outbox"): needs.ADMIN,
    ("POST", "/settings/notifications"): needs.ADMIN,
    ("POST", "/settings/notifications/{number}/events"): needs.ADMIN,
    ("POST", "/settings/notifications/{number}/remove"): needs.ADMIN,
    ("POST", "/settings/notifications/{number}/test"): needs.ADMIN,
    ("POST", "/settings/teams"): needs.ADMIN,
    ("GET", "/settings/teams/{team}"): needs.ADMIN,
    ("POST", "/settings/teams/{team}/grants"): needs.ADMIN,
    ("POST", "/settings/teams/{team}/members"): needs.ADMIN,
    ("POST", "/settings/teams/{team}/members/{person}/remove"): needs.ADMIN,
}

SECTION = Section(
    "settings",
    nav=(NavLink("/settings", "Settings"),),
    pages=Pages((pages.router, policies.router, people.router, notifications.router), PAGES),
    templates=HERE / "templates",
)
