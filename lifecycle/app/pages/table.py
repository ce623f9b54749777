"""Who may open which page: the only place that says so. A page that is not here stops the start.

`role` is the least that a visitor has anywhere; whether they have it on this pipeline is asked again by
the verb, inside its transaction. `role` None: nobody needs to be signed in.
"""

from __future__ import annotations

from lifecycle.domain.environment import Role
from lifecycle.domain.model import Frozen


class PageNeed(Frozen):
    """What a page asks of its visitor."""

    role: Role | None


OPEN = PageNeed(role=None)
READ = PageNeed(role=Role.VIEWER)
WRITE = PageNeed(role=Role.DATA_ENGINEER)
LEAD = PageNeed(role=Role.LEAD)
ADMIN = PageNeed(role=Role.ADMIN)

PAGES: dict[tuple[str, str], PageNeed] = {
    ("GET", "/static/{digest}/{name}"): OPEN,
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): OPEN,
    ("POST", "/sign-in/link"): OPEN,
    ("POST", "/sign-out"): READ,
    ("GET", "/"): READ,
    ("GET", "/badge"): READ,
    # Profile, audit, settings
    ("GET", "/profile"): READ,
    ("POST", "/profile/password"): READ,
    ("POST", "/profile/tokens"): READ,
    ("POST", "/profile/tokens/{token_id}/revoke"): READ,
    ("GET", "/audit"): ADMIN,
    ("GET", "/audit/chain"): ADMIN,
    ("GET", "/audit/export"): ADMIN,
    ("GET", "/audit/log"): ADMIN,
    ("GET", "/audit/anchor"): ADMIN,
    ("POST", "/audit/rescan"): ADMIN,
    ("GET", "/settings"): READ,
    ("GET", "/settings/people"): ADMIN,
    ("POST", "/settings/people"): ADMIN,
    ("GET", "/settings/people/{person}"): ADMIN,
    ("POST", "/settings/people/{person}/grants"): ADMIN,
    ("POST", "/settings/people/{person}/password"): ADMIN,
    ("POST", "/settings/people/{person}/link"): ADMIN,
    ("POST", "/settings/people/{person}/subject"): ADMIN,
    ("POST", "/settings/people/{person}/tokens"): ADMIN,
    ("POST", "/settings/people/{person}/tokens/{token_id}/revoke"): ADMIN,
    ("GET", "/settings/people/{person}/disable"): ADMIN,
    ("POST", "/settings/people/{person}/disable"): ADMIN,
    ("POST", "/settings/grants/{grant_id}/revoke"): ADMIN,
    ("GET", "/settings/policies"): READ,
    ("GET", "/settings/policies/{environment}"): READ,
    ("POST", "/settings/policies/{environment}"): ADMIN,
    ("GET", "/settings/policies/{environment}/edit"): ADMIN,
    ("POST", "/settings/policies/{environment}/preview"): ADMIN,
    ("GET", "/settings/policies/{environment}/delete"): ADMIN,
    ("POST", "/settings/policies/{environment}/delete"): ADMIN,
    ("GET", "/settings/notifications"): ADMIN,
    ("GET", "/settings/notifications/outbox"): ADMIN,
    ("POST", "/settings/notifications"): ADMIN,
    ("POST", "/settings/notifications/{number}/events"): ADMIN,
    ("POST", "/settings/notifications/{number}/remove"): ADMIN,
    ("POST", "/settings/notifications/{number}/test"): ADMIN,
    ("POST", "/settings/teams"): ADMIN,
    ("GET", "/settings/teams/{team}"): ADMIN,
    ("POST", "/settings/teams/{team}/grants"): ADMIN,
    ("POST", "/settings/teams/{team}/members"): ADMIN,
    ("POST", "/settings/teams/{team}/members/{person}/remove"): ADMIN,
}
