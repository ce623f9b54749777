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
    # Promoting and deciding.
    ("GET", "/pipelines/{name}/versions/{number}/promote/{target}"): READ,
    ("POST", "/pipelines/{name}/versions/{number}/promote/{target}"): WRITE,
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
}
