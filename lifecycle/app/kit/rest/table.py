"""Who may call which route: the only place that says so. A route that is not here stops the start.

`role` is the least that a caller has anywhere; whether they have it on this pipeline is asked again
by the verb, inside its transaction. `scope` is what the token must be good for.
"""

from __future__ import annotations

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.model import Frozen


class Need(Frozen):
    """What a route asks of its caller; `role` None: nobody needs to be signed in."""

    role: Role | None
    scope: TokenScope = TokenScope.READ


OPEN = Need(role=None)
READ = Need(role=Role.VIEWER)
SELF = Need(role=Role.VIEWER, scope=TokenScope.WRITE)
WRITE = Need(role=Role.DATA_ENGINEER, scope=TokenScope.WRITE)
LEAD = Need(role=Role.LEAD, scope=TokenScope.WRITE)
DECIDE = Need(role=Role.VIEWER, scope=TokenScope.APPROVE)
ADMIN_READ = Need(role=Role.ADMIN, scope=TokenScope.READ)
ADMIN = Need(role=Role.ADMIN, scope=TokenScope.ADMIN)

_DEF = "/api/pipeline-defs/{name}"
_VERSION = _DEF + "/versions/{number}"
_APPROVAL = "/api/approvals/{promotion_id}"
_ENVIRONMENT = "/api/environments/{environment}"

TABLE: dict[tuple[str, str], Need] = {
    ("GET", "/api/health"): OPEN,
    ("POST", "/api/session"): OPEN,
    ("POST", "/api/session/link"): OPEN,
    ("GET", "/api/session/oidc"): OPEN,
    ("GET", "/api/session/oidc/callback"): OPEN,
    ("DELETE", "/api/session"): OPEN,
    ("GET", "/api/me"): READ,
    ("POST", "/api/me/signed-token"): READ,
    ("PUT", "/api/me/password"): SELF,
    ("GET", "/api/me/tokens"): READ,
    ("POST", "/api/me/tokens"): SELF,
    ("DELETE", "/api/me/tokens/{token_id}"): SELF,
    ("GET", "/api/config"): ADMIN_READ,
    ("PUT", "/api/config"): ADMIN,
    ("GET", "/api/pipeline-defs"): READ,
    ("POST", "/api/pipeline-defs"): WRITE,
    ("POST", "/api/pipeline-defs/import"): WRITE,
    ("GET", _DEF): READ,
    ("PUT", _DEF): WRITE,
    ("DELETE", _DEF): LEAD,
    ("GET", _DEF + "/versions"): READ,
    ("POST", _DEF + "/versions"): WRITE,
    ("GET", _VERSION): READ,
    ("POST", _VERSION + "/plan"): READ,
    ("POST", _VERSION + "/promote"): WRITE,
    ("POST", _VERSION + "/demote"): LEAD,
    ("POST", _VERSION + "/retire"): LEAD,
    ("POST", _VERSION + "/clone"): WRITE,
    ("POST", _VERSION + "/break-glass"): LEAD,
    ("GET", _VERSION + "/export"): READ,
    ("GET", _VERSION + "/diff/{other}"): READ,
    ("GET", "/api/approvals"): READ,
    ("GET", _APPROVAL): READ,
    ("GET", _APPROVAL + "/comparison"): READ,
    ("GET", _APPROVAL + "/data/{table}"): READ,
    ("POST", _APPROVAL + "/approve"): DECIDE,
    ("POST", _APPROVAL + "/reject"): DECIDE,
    ("POST", _APPROVAL + "/review"): DECIDE,
    ("POST", _APPROVAL + "/withdraw"): WRITE,
    ("POST", _APPROVAL + "/refresh"): WRITE,
    ("POST", _APPROVAL + "/execute"): WRITE,
    ("GET", _APPROVAL + "/comments"): READ,
    ("POST", _APPROVAL + "/comments"): SELF,
    ("GET", "/api/notifications/pending-approvals"): READ,
    ("GET", "/api/reviews"): READ,
    ("GET", "/api/environments"): READ,
    ("GET", _ENVIRONMENT + "/may"): READ,
    ("POST", _ENVIRONMENT + "/rollback"): LEAD,
    ("POST", _ENVIRONMENT + "/rollback/plan"): READ,
    ("POST", _ENVIRONMENT + "/refresh"): WRITE,
    ("POST", _ENVIRONMENT + "/freeze"): LEAD,
    ("POST", _ENVIRONMENT + "/stop"): LEAD,
    ("GET", "/api/holds"): READ,
    ("GET", "/api/troubles"): READ,
    ("DELETE", "/api/holds/{hold_id}"): LEAD,
    ("GET", "/api/drift"): READ,
    ("POST", "/api/drift/{drift_id}/adopt"): LEAD,
    ("POST", "/api/drift/{drift_id}/revert"): LEAD,
    ("GET", "/api/policies"): READ,
    ("GET", _ENVIRONMENT + "/policy"): READ,
    ("PUT", _ENVIRONMENT + "/policy"): ADMIN,
    ("DELETE", _ENVIRONMENT + "/policy"): ADMIN,
    ("GET", "/api/audit"): ADMIN_READ,
    ("GET", "/api/audit/head"): READ,
    ("GET", "/api/audit/rows"): ADMIN_READ,
    ("GET", "/api/audit/key"): READ,
    ("GET", "/api/people"): READ,
    ("POST", "/api/people"): ADMIN,
    ("DELETE", "/api/people/{person}"): ADMIN,
    ("PUT", "/api/people/{person}/password"): ADMIN,
    ("PUT", "/api/people/{person}/subject"): ADMIN,
    ("POST", "/api/people/{person}/tokens"): ADMIN,
    ("GET", "/api/teams"): READ,
    ("POST", "/api/teams"): ADMIN,
    ("PUT", "/api/teams/{team}/members/{person}"): ADMIN,
    ("DELETE", "/api/teams/{team}/members/{person}"): ADMIN,
    ("GET", "/api/grants"): ADMIN_READ,
    ("POST", "/api/grants"): ADMIN,
    ("DELETE", "/api/grants/{grant_id}"): ADMIN,
    ("GET", "/api/events"): READ,
}
