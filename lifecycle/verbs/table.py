"""Every verb, who may call it, and where REST has it: the only place that says so.

`need.role` is the least that a caller has anywhere; whether they have it on this pipeline is asked again by the verb,
inside its transaction. `need.scope` is what the token must be good for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.model import Frozen
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden
from lifecycle.usecases.authenticate import Identity
from lifecycle.verbs import (
    audit,
    catalog,
    environments,
    evolution,
    installation,
    maintenance,
    notebooks,
    people,
    pipelines,
    promotions,
    runs,
    tables,
)
from lifecycle.verbs.verb import Verb


class Kind(StrEnum):
    """READ changes nothing; ASK is for others to decide about; ACT changes what counts or what runs."""

    READ = "read"
    ASK = "ask"
    ACT = "act"


class Need(Frozen):
    """What is asked of a caller; `role` None: none, but as a rule that they are signed in.

    `agents`: whether an agent may ever call it.
    """

    role: Role | None
    scope: TokenScope = TokenScope.READ
    signed_in: bool = True
    agents: bool = True

    def admit(self, identity: Identity) -> None:
        """Raises Forbidden for too narrow a token, for who has the role nowhere, and for an agent where none may."""
        if identity.agent and not self.agents:
            who = identity.actor
            raise Forbidden(f"{who.name} is an agent, and no agent may do this (A8); ask {who.acts_for}")
        if self.scope not in identity.scopes:
            has = ", ".join(sorted(identity.scopes)) or "nothing"
            raise Forbidden(
                f"this token is for {has}, not for {self.scope.value}; issue one with the scope {self.scope.value}, "
                "or sign in again: drls login"
            )
        if self.role is not None and not any(grant.role.includes(self.role) for grant in identity.grants):
            raise Forbidden(f"this needs the role {self.role.value}; ask an Admin for a grant")


OPEN = Need(role=None, signed_in=False)
# What is somebody's own asks for no role: whoever lost theirs can still look, and end what they have.
OWN = Need(role=None)
OWN_WRITE = Need(role=None, scope=TokenScope.WRITE)
READ = Need(role=Role.VIEWER)
SELF = Need(role=Role.VIEWER, scope=TokenScope.WRITE)
WRITE = Need(role=Role.DATA_ENGINEER, scope=TokenScope.WRITE)
BUILD_READ = Need(role=Role.DATA_ENGINEER)
LEAD = Need(role=Role.LEAD, scope=TokenScope.WRITE)
LEAD_READ = Need(role=Role.LEAD)
DECIDE = Need(role=Role.VIEWER, scope=TokenScope.APPROVE)
ADMIN_READ = Need(role=Role.ADMIN, scope=TokenScope.READ)
ADMIN = Need(role=Role.ADMIN, scope=TokenScope.ADMIN)


@dataclass(frozen=True)
class Row:
    """A verb, what is asked of its caller, what kind it is, and how REST answers it.

    `etag` is the field of the answer that its ETag holds; `pending` the one that is set as long as there is more to
    come; `file` the name of an answer that is a file. `agents`: whether an agent may ever call it.
    """

    method: str
    path: str
    verb: Verb[..., Any]
    need: Need
    kind: Kind
    status: int = 200
    etag: str | None = None
    pending: str | None = None
    file: str | None = None
    agents: bool = True

    @cached_property
    def asks(self) -> Need:
        """All that is asked of a caller before the verb itself asks for the pipeline."""
        return self.need.model_copy(update={"agents": self.agents})


def _read(path: str, verb: Verb[..., Any], need: Need = READ, *, method: str = "GET", **how: Any) -> Row:
    return Row(method, f"/api{path}", verb, need, Kind.READ, **how)


def _ask(path: str, verb: Verb[..., Any], need: Need, **how: Any) -> Row:
    return Row("POST", f"/api{path}", verb, need, Kind.ASK, **how)


def _act(route: str, verb: Verb[..., Any], need: Need, **how: Any) -> Row:
    method, _, path = route.partition(" ")
    return Row(method, f"/api{path}", verb, need, Kind.ACT, **how)


_DEFS = "/pipeline-defs"
_DEF = _DEFS + "/{name}"
_VERSION = _DEF + "/versions/{number}"
_APPROVAL = "/approvals/{promotion_id}"
_ENVIRONMENT = "/environments/{environment}"
_PERSON = "/people/{person}"
_MEMBER = "/teams/{team}/members/{person}"
_TABLE = "/table/{name}"
_OPERATION = "/operations/{operation_id}"
_REF = _TABLE + "/refs/{ref}"
_EVOLVE = "/evolve"

ROWS: tuple[Row, ...] = (
    _read(_DEFS, pipelines.list_pipelines),
    _act("POST " + _DEFS, pipelines.save, WRITE, status=201, etag="digest"),
    _act("POST " + _DEFS + "/import", pipelines.import_bundle, WRITE, status=201, etag="digest"),
    _read(_DEFS + "/validate", pipelines.validate, BUILD_READ, method="POST"),
    _read(_DEF, pipelines.newest, etag="digest"),
    _act("PUT " + _DEF, pipelines.save_over, WRITE, etag="digest"),
    _act("DELETE " + _DEF, pipelines.delete, LEAD),
    _read(_DEF + "/about", catalog.about),
    _read(_DEF + "/versions", pipelines.versions),
    _act("POST " + _DEF + "/versions", pipelines.add_version, WRITE, status=201, etag="digest"),
    _read(_VERSION, pipelines.version, etag="digest"),
    _act("POST " + _VERSION + "/clone", pipelines.clone, WRITE, status=201, etag="digest"),
    _read(_VERSION + "/export", pipelines.export, file="{name}-v{number}.json"),
    _read(_VERSION + "/diff/{other}", pipelines.diff),
    _read(_VERSION + "/plan", promotions.plan, method="POST"),
    _ask(_VERSION + "/promote", promotions.request, WRITE, status=201),
    _act("POST " + _VERSION + "/break-glass", promotions.break_glass, LEAD, status=201, agents=False),
    _act("POST " + _VERSION + "/demote", environments.demote, LEAD),
    _act("POST " + _VERSION + "/retire", environments.retire, LEAD),
    _read("/approvals", promotions.list_requests),
    _read("/notifications/pending-approvals", promotions.pending),
    _read("/reviews", promotions.unreviewed),
    _read(_APPROVAL, promotions.show, etag="request.revision"),
    _read(_APPROVAL + "/comparison", promotions.comparison),
    _read(_APPROVAL + "/data/{table}", promotions.data, pending="progress"),
    _read(_APPROVAL + "/comments", promotions.comments),
    _ask(_APPROVAL + "/comments", promotions.comment, SELF, status=201),
    _act("POST " + _APPROVAL + "/approve", promotions.approve, DECIDE, agents=False),
    _act("POST " + _APPROVAL + "/reject", promotions.reject, DECIDE, agents=False),
    _act("POST " + _APPROVAL + "/review", promotions.review, DECIDE, agents=False),
    _ask(_APPROVAL + "/withdraw", promotions.withdraw, WRITE),
    _ask(_APPROVAL + "/refresh", promotions.refresh, WRITE, status=201),
    _act("POST " + _APPROVAL + "/execute", promotions.execute, WRITE),
    _read("/search", catalog.search),
    _read("/lineage", catalog.lineage),
    _read("/history", catalog.history),
    _read("/environments", environments.active),
    _read(_ENVIRONMENT + "/may", environments.may),
    _read(_ENVIRONMENT + "/loaded", environments.loaded),
    _read(_ENVIRONMENT + "/rollback/plan", environments.plan_rollback, method="POST"),
    _act("POST " + _ENVIRONMENT + "/rollback", environments.rollback, LEAD, status=201),
    _act("POST " + _ENVIRONMENT + "/refresh", environments.new_session, WRITE, status=201),
    _act("POST " + _ENVIRONMENT + "/freeze", environments.freeze, LEAD, status=201),
    _act("POST " + _ENVIRONMENT + "/stop", environments.stop, LEAD, status=201),
    _read("/runs/{run_id}/explanation", runs.explain),
    _read("/holds", environments.holds),
    _act("DELETE /holds/{hold_id}", environments.lift, LEAD),
    _read("/troubles", environments.troubles),
    _read("/drift", environments.drifts),
    _act("POST /drift/{drift_id}/adopt", environments.adopt, LEAD),
    _act("POST /drift/{drift_id}/revert", environments.revert, LEAD),
    _read("/policies", environments.policies),
    _read(_ENVIRONMENT + "/policy", environments.policy_in_force, etag="id"),
    _act("PUT " + _ENVIRONMENT + "/policy", environments.set_policy, ADMIN, agents=False),
    _act("DELETE " + _ENVIRONMENT + "/policy", environments.remove_policy, ADMIN, agents=False),
    _read("/me", people.me, OWN),
    _act("POST /me/signed-token", people.signed_token, READ, status=201, agents=False),
    _act("POST /me/agent-token", people.agent_token, OWN, status=201, agents=False),
    _read("/me/agents", people.list_agents, OWN),
    _act("POST /me/agents/{agent}/tokens", people.issue_agent_token, OWN_WRITE, status=201, agents=False),
    _act("DELETE /me/agents/{agent}", people.end_agent, OWN_WRITE, agents=False),
    _read("/me/tokens", people.list_tokens, OWN),
    _act("POST /me/tokens", people.issue_token, OWN_WRITE, status=201, agents=False),
    _act("DELETE /me/tokens/{token_id}", people.revoke_token, OWN_WRITE, agents=False),
    _read("/people", people.list_people),
    _act("POST /people", people.add, ADMIN, status=201, agents=False),
    _act("DELETE " + _PERSON, people.disable, ADMIN, agents=False),
    _act("PUT " + _PERSON + "/password", people.set_password, ADMIN, status=204, agents=False),
    _act("PUT " + _PERSON + "/subject", people.link, ADMIN, agents=False),
    _act("POST " + _PERSON + "/tokens", people.issue_service_token, ADMIN, status=201, agents=False),
    _read("/teams", people.list_teams),
    _act("POST /teams", people.add_team, ADMIN, status=201, agents=False),
    _act("PUT " + _MEMBER, people.join, ADMIN, agents=False),
    _act("DELETE " + _MEMBER, people.leave, ADMIN, agents=False),
    _read("/grants", people.list_grants, ADMIN_READ),
    _act("POST /grants", people.grant, ADMIN, status=201, agents=False),
    _act("DELETE /grants/{grant_id}", people.revoke_grant, ADMIN, agents=False),
    _act("POST /notebook/start", notebooks.start, WRITE, agents=False),
    _act("POST /notebook/stop", notebooks.stop, OWN_WRITE, agents=False),
    _read("/notebook/status", notebooks.status, OWN),
    _read("/notebook/pipeline", notebooks.pipeline, BUILD_READ, method="POST"),
    _act("POST /notebook/save", notebooks.save, WRITE, status=201, etag="digest"),
    _read("/tables", tables.list_tables),
    _read("/tables/query", tables.query, method="POST"),
    _read("/tables/health", tables.fleet),
    _read(_TABLE, tables.show),
    _read(_TABLE + "/schema", tables.schema),
    _read(_TABLE + "/history", tables.history),
    _read(_TABLE + "/preview", tables.preview),
    _read(_TABLE + "/statistics", tables.statistics),
    _read(_TABLE + "/files", tables.files),
    _read(_TABLE + "/changes", tables.changes),
    _read(_TABLE + "/health", tables.health),
    _read(_TABLE + "/health/history", tables.health_history),
    _read("/maintenance/plan", maintenance.plan, method="POST"),
    _read(_TABLE + "/maintenance", maintenance.policy),
    _act("POST /compact", maintenance.compact, LEAD, status=202),
    _act("POST /rewrite-manifests", maintenance.manifests, LEAD, status=202),
    _act("POST /expire", maintenance.expire, LEAD, status=202),
    _act("POST /orphans", maintenance.orphans, LEAD, status=202),
    _act("POST /vacuum", maintenance.vacuum, LEAD, status=202),
    _read("/operations", maintenance.list_operations),
    _read(_OPERATION, maintenance.show),
    _act("POST " + _OPERATION + "/cancel", maintenance.cancel, LEAD),
    _read(_TABLE + "/diff", evolution.diff),
    _act("PUT " + _REF, evolution.set_ref, LEAD),
    _act("DELETE " + _REF, evolution.drop_ref, LEAD),
    _act("POST " + _REF + "/fast-forward", evolution.fast_forward, LEAD),
    _act("POST /rollback", evolution.rollback, LEAD),
    _read(_EVOLVE + "/plan", evolution.plan, method="POST"),
    _act("POST " + _EVOLVE + "/add-column", evolution.add_column, LEAD),
    _act("POST " + _EVOLVE + "/rename-column", evolution.rename_column, LEAD),
    _act("POST " + _EVOLVE + "/drop-column", evolution.drop_column, LEAD),
    _act("POST " + _EVOLVE + "/move-column", evolution.move_column, LEAD),
    _act("POST " + _EVOLVE + "/alter-type", evolution.alter_type, LEAD),
    _act("POST " + _EVOLVE + "/set-nullable", evolution.set_nullable, LEAD),
    _act("POST " + _EVOLVE + "/set-doc", evolution.set_doc, LEAD),
    _act("POST " + _EVOLVE + "/add-partition", evolution.add_partition, LEAD),
    _act("POST " + _EVOLVE + "/drop-partition", evolution.drop_partition, LEAD),
    _act("POST " + _EVOLVE + "/replace-partition", evolution.replace_partition, LEAD),
    _act("POST " + _EVOLVE + "/sort-order", evolution.set_sort_order, LEAD),
    _read("/fence", installation.fence, LEAD_READ),
    _read("/config", installation.config, ADMIN_READ, etag="revision"),
    _act("PUT /config", installation.set_config, ADMIN, etag="revision", agents=False),
    _read("/audit", audit.search, ADMIN_READ),
    _read("/audit/head", audit.head),
    _read("/audit/rows", audit.rows, ADMIN_READ),
    _read("/audit/key", audit.key),
)

_OF = {row.verb: row for row in ROWS}


def row_of(verb: Verb[..., Any]) -> Row:
    """The row of a verb."""
    return _OF[verb]
