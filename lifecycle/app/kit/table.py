"""Who may open which page: the only place that says so. A page that is not here stops the start.

`role` is the least that a visitor has anywhere; whether they have it on this pipeline is asked again by
the verb, inside its transaction. What is somebody's own asks for no role: whoever lost theirs can still leave.
"""

from __future__ import annotations

from lifecycle.domain.environment import Role
from lifecycle.domain.model import Frozen


class PageNeed(Frozen):
    """What a page asks of its visitor; `role` None: none, but for some pages that they are signed in."""

    role: Role | None
    signed_in: bool = True


OPEN = PageNeed(role=None, signed_in=False)
OWN = PageNeed(role=None)
READ = PageNeed(role=Role.VIEWER)
WRITE = PageNeed(role=Role.DATA_ENGINEER)
LEAD = PageNeed(role=Role.LEAD)
ADMIN = PageNeed(role=Role.ADMIN)

PAGES: dict[tuple[str, str], PageNeed] = {
    ("GET", "/static/{digest}/{name}"): OPEN,
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): OPEN,
    ("GET", "/sign-in/link"): OPEN,
    ("POST", "/sign-in/link"): OPEN,
    ("POST", "/sign-out"): OWN,
    ("GET", "/"): READ,
    ("GET", "/badge"): READ,
    # Home and pipelines.
    ("GET", "/waiting"): READ,
    ("GET", "/board"): READ,
    # Promoting and deciding.
    ("GET", "/pipelines/{name}/versions/{number}/promote/{target}"): READ,
    ("POST", "/pipelines/{name}/versions/{number}/promote/{target}"): WRITE,
    ("GET", "/approvals/{promotion_id}/data/{table}"): READ,
    # Profile, audit, settings
    ("GET", "/profile"): OWN,
    ("POST", "/profile/password"): OWN,
    ("POST", "/profile/tokens"): OWN,
    ("POST", "/profile/tokens/{token_id}/revoke"): OWN,
    ("GET", "/audit"): ADMIN,
    ("GET", "/audit/chain"): ADMIN,
    ("GET", "/audit/export"): ADMIN,
    ("GET", "/audit/log"): ADMIN,
    ("GET", "/audit/anchor"): ADMIN,
    ("POST", "/audit/rescan"): ADMIN,
    ("GET", "/pipelines"): READ,
    ("POST", "/pipelines/import"): WRITE,
    ("GET", "/pipelines/{name}"): READ,
    ("GET", "/pipelines/{name}/state"): READ,
    ("POST", "/pipelines/{name}/versions"): WRITE,
    ("GET", "/pipelines/{name}/versions/{number}"): READ,
    ("GET", "/pipelines/{name}/versions/{number}/definition.yaml"): READ,
    ("GET", "/pipelines/{name}/versions/{number}/clone"): WRITE,
    ("POST", "/pipelines/{name}/versions/{number}/clone"): WRITE,
    ("GET", "/pipelines/{name}/delete"): LEAD,
    ("POST", "/pipelines/{name}/delete"): LEAD,
    ("GET", "/pipelines/{name}/compare"): READ,
    ("GET", "/pipelines/{name}/compare/{before}/{after}"): READ,
    # Promoting and deciding.
    ("GET", "/approvals"): READ,
    ("GET", "/approvals/pending"): READ,
    ("GET", "/approvals/{promotion_id}"): READ,
    ("GET", "/approvals/{promotion_id}/status"): READ,
    ("GET", "/approvals/{promotion_id}/decision"): READ,
    ("GET", "/approvals/{promotion_id}/activity"): READ,
    # Teams and single people can be named in a quorum, whatever their role: the verbs ask (as in the REST table).
    ("POST", "/approvals/{promotion_id}/approve"): READ,
    ("POST", "/approvals/{promotion_id}/reject"): READ,
    ("POST", "/approvals/{promotion_id}/review"): READ,
    ("POST", "/approvals/{promotion_id}/comments"): READ,
    ("POST", "/approvals/{promotion_id}/withdraw"): WRITE,
    ("POST", "/approvals/{promotion_id}/refresh"): WRITE,
    ("POST", "/approvals/{promotion_id}/execute"): WRITE,
    # What runs where, and what people do to it. Whoever may look is told why they may not act.
    ("GET", "/environments"): READ,
    ("GET", "/environments/live"): READ,
    ("GET", "/environments/{environment}"): READ,
    ("GET", "/environments/{environment}/live"): READ,
    ("GET", "/environments/{environment}/freeze"): READ,
    ("POST", "/environments/{environment}/freeze"): LEAD,
    ("GET", "/environments/{environment}/stop"): READ,
    ("POST", "/environments/{environment}/stop"): LEAD,
    ("GET", "/environments/{environment}/session/{name}"): READ,
    ("POST", "/environments/{environment}/session/{name}"): WRITE,
    ("GET", "/holds/{hold_id}/lift"): READ,
    ("POST", "/holds/{hold_id}/lift"): LEAD,
    ("GET", "/drifts/{drift_id}"): READ,
    ("POST", "/drifts/{drift_id}/adopt"): LEAD,
    ("POST", "/drifts/{drift_id}/revert"): LEAD,
    ("GET", "/pipelines/{name}/versions/{number}/demote"): READ,
    ("POST", "/pipelines/{name}/versions/{number}/demote"): LEAD,
    ("GET", "/pipelines/{name}/versions/{number}/retire"): READ,
    ("POST", "/pipelines/{name}/versions/{number}/retire"): LEAD,
    ("GET", "/pipelines/{name}/versions/{number}/break-glass"): READ,
    ("POST", "/pipelines/{name}/versions/{number}/break-glass"): LEAD,
    ("GET", "/pipelines/{name}/rollback"): READ,
    ("POST", "/pipelines/{name}/rollback"): LEAD,
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
