"""What the command line asks of a lifecycle: the verbs, under the names that commands use.

Whoever holds a Lifecycle acts as the owner of its token (A1). Every call raises LifecycleError: Unauthorized (the
token), Forbidden (the person, or the token's scopes), NotFound, Invalid, Conflict, Refused. `key` makes a repetition of
the same command answer the same.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from drls_dagster.lifecycle_client.way import Way
from lifecycle.audit import Entry, Head
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.spec import PipelineSpec, canonical_json
from lifecycle.usecases.check_definition import Checked
from lifecycle.usecases.rollback_release import RollbackPlan
from lifecycle.usecases.tokens import Issued
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
from lifecycle.verbs.answers import (
    DriftInfo,
    HoldInfo,
    MeHere,
    PolicyInfo,
    Request,
    SessionInfo,
    TeamInfo,
    VersionDetail,
    VersionInfo,
)
from lifecycle.verbs.verb import Verb

A = TypeVar("A")
_PRODUCTION = Environment.PRODUCTION
_PAGE = 500


class Calls:
    """Verbs, asked along one way: each attribute is a method."""

    def __init__(self, way: Way) -> None:
        self.way = way

    def ask(self, verb: Verb[..., A], given: Mapping[str, Any], *, everything: bool = False) -> A:
        """The answer to any verb, by its arguments' names."""
        return self.way.ask(verb, given, everything=everything)


class Pipelines(Calls):
    """Definitions and their versions."""

    list = pipelines.list_pipelines.all
    versions = pipelines.versions.all
    export = pipelines.export
    clone = pipelines.clone
    delete = pipelines.delete
    import_bundle = pipelines.import_bundle
    diff = pipelines.diff
    validate = pipelines.validate
    _newest = pipelines.newest
    _version = pipelines.version
    _save = pipelines.save
    _add_version = pipelines.add_version

    def save(
        self,
        spec: PipelineSpec,
        *,
        search_path: Sequence[Path] = (),
        message: str = "",
        on: int | None = None,
        if_newest: str | None = None,
        key: str | None = None,
    ) -> VersionInfo:
        """Saves a definition with the code that it names and `search_path` has (L2). `on`: its parent version.

        Code that is not there is looked for where the store is; raises SpecError when it is not there either.
        """
        definition = json.loads(canonical_json(spec.model_copy(update={"lock": None})))
        with self.way.code(spec, search_path) as code:
            if if_newest is None:
                return self._save(definition, message=message, on=on, code=code, key=key)
            return self._add_version(
                spec.name, definition, message=message, on=on, code=code, if_newest=if_newest, key=key
            )

    def check(self, spec: PipelineSpec, *, search_path: Sequence[Path] = ()) -> Checked:
        """What saving it would refuse, and advice."""
        definition = json.loads(canonical_json(spec.model_copy(update={"lock": None})))
        with self.way.code(spec, search_path) as code:
            return self.validate(definition, code=code)

    def version(self, name: str, number: int | None = None) -> VersionDetail:
        """One version; the newest when no number is given."""
        return self._newest(name) if number is None else self._version(name, number)


class Catalog(Calls):
    """Looking around."""

    search = catalog.search
    about = catalog.about
    lineage = catalog.lineage
    history = catalog.history


class Promotions(Calls):
    """Requests to promote, and what people say to them."""

    plan = promotions.plan
    request = promotions.request
    break_glass = promotions.break_glass
    execute = promotions.execute
    list = promotions.list_requests
    pending = promotions.pending
    unreviewed = promotions.unreviewed
    show = promotions.show
    comparison = promotions.comparison
    data = promotions.data
    approve = promotions.approve
    reject = promotions.reject
    review = promotions.review
    withdraw = promotions.withdraw
    refresh = promotions.refresh
    comment = promotions.comment
    comments = promotions.comments


class Environments(Calls):
    """What is active where, and the rules there."""

    active = environments.active
    may = environments.may
    demote = environments.demote
    retire = environments.retire
    holds = environments.holds
    lift_hold = environments.lift
    drifts = environments.drifts
    troubles = environments.troubles
    policies = environments.policies
    policy_in_force = environments.policy_in_force
    _loaded = environments.loaded
    _plan_rollback = environments.plan_rollback
    _rollback = environments.rollback
    _new_session = environments.new_session
    _freeze = environments.freeze
    _stop = environments.stop
    _adopt = environments.adopt
    _revert = environments.revert
    _set_policy = environments.set_policy
    _remove_policy = environments.remove_policy

    def loaded(self, environment: Environment) -> Mapping[str, str] | None:
        """By pipeline, the digest that the code location loaded last; None when it never said."""
        return self._loaded(environment).loaded

    def plan_rollback(self, name: str, *, data: bool = False) -> RollbackPlan:
        """What rolling production back would do now; changes nothing."""
        return self._plan_rollback(_PRODUCTION, name, data=data)

    def rollback(
        self, name: str, *, reason: str, data: bool = False, consent: str | None = None, key: str | None = None
    ) -> Request:
        """Rolls production back to its previous release; `data` needs `consent`, the digest of the plan (L13)."""
        return self._rollback(_PRODUCTION, name, reason=reason, data=data, consent=consent, key=key)

    def set_hold(
        self,
        kind: HoldKind,
        environment: Environment,
        pipeline: str | None = None,
        *,
        reason: str,
        key: str | None = None,
    ) -> HoldInfo:
        """Freezes or stops (L9)."""
        hold = self._freeze if kind is HoldKind.FREEZE else self._stop
        return hold(environment, pipeline, reason=reason, key=key)

    def new_session(self, name: str, environment: Environment) -> SessionInfo:
        """The active version's next run in QA or UAT starts on branches fresh off main (D9)."""
        return self._new_session(environment, name)

    def settle_drift(
        self, drift: int, how: Literal["adopt", "revert"], *, reason: str, key: str | None = None
    ) -> DriftInfo:
        """Adopts or reverts an unexplained write (drift)."""
        settle = self._adopt if how == "adopt" else self._revert
        return settle(drift, reason=reason, key=key)

    def policy(self, environment: Environment, pipeline: str | None = None) -> PolicyInfo | None:
        """What was set last for exactly this scope; None when nothing ever was."""
        scope = (environment, pipeline)
        return next((one for one in self.policies() if (one.environment, one.pipeline) == scope), None)

    def set_policy(
        self,
        environment: Environment,
        pipeline: str | None,
        body: Policy | None,
        *,
        if_revision: int | None = None,
        key: str | None = None,
    ) -> PolicyInfo:
        """A new revision; None removes the policy. `if_revision` 0: none was set yet."""
        if body is None:
            return self._remove_policy(environment, pipeline=pipeline, if_revision=if_revision, key=key)
        return self._set_policy(environment, body, pipeline=pipeline, if_revision=if_revision, key=key)


class People(Calls):
    """Accounts, teams, grants and tokens."""

    list = people.list_people
    add = people.add
    link = people.link
    disable = people.disable
    grant = people.grant
    grants = people.list_grants
    revoke_grant = people.revoke_grant
    teams = people.list_teams
    add_team = people.add_team
    tokens = people.list_tokens
    revoke_token = people.revoke_token
    signed_token = people.signed_token
    agent_token = people.agent_token
    agents = people.list_agents
    end_agent = people.end_agent
    _me = people.me
    _set_password = people.set_password
    _join = people.join
    _leave = people.leave
    _issue_token = people.issue_token
    _issue_service_token = people.issue_service_token
    _issue_agent_token = people.issue_agent_token

    def me(self) -> MeHere:
        """Whose token this is, and where the lifecycle is."""
        return MeHere.model_validate({**dict(self._me()), **self.way.here()})

    def set_password(self, name: str, password: str, *, old: str | None = None) -> None:
        """Sets your own, with the `old` one if there is one, or (Admin) another's; every token of the account ends."""
        if self._me().name == name:
            self.way.change_password(name, password, old)
        else:
            self._set_password(name, password)

    def set_member(self, team: str, person: str, *, member: bool) -> TeamInfo:
        """Adds a person to a team, or removes them."""
        return self._join(team, person) if member else self._leave(team, person)

    def issue_token(
        self, name: str, *, scopes: Sequence[TokenScope], life: timedelta, owner: str | None = None
    ) -> Issued:
        """A token for oneself or (Admin) for a service account, no wider than the one in use."""
        if owner is None:
            return self._issue_token(name, tuple(scopes), life.days)
        return self._issue_service_token(owner, name, tuple(scopes), life.days)

    def issue_agent_token(
        self, agent: str, *, scopes: Sequence[TokenScope], life: timedelta, name: str = "", unattended: bool = False
    ) -> Issued:
        """A token for an agent that acts for you; `unattended`: it changes things without asking (A8)."""
        return self._issue_agent_token(agent, tuple(scopes), life.days, name=name, unattended=unattended)


class Log(NamedTuple):
    """The signed head and, from the first on, the entries that belong to it."""

    head: Head
    entries: Iterator[Entry]


class Audit(Calls):
    """The audit log."""

    search = audit.search
    rows = audit.rows
    head = audit.head
    _key = audit.key

    def public_key(self) -> str:
        """The key that signs the head and the bundles, in hexadecimal."""
        return self._key().key

    @contextmanager
    def whole(self) -> Generator[Log]:
        """The whole log as its signed head has it, read page after page."""
        head = self.head()
        pages = self._pages()
        # At once, so that whoever may not read it hears so before anything is written.
        first = next(pages)
        yield Log(head, self._up_to(head, first, pages))

    def _pages(self) -> Iterator[Sequence[Entry]]:
        after = 0
        while page := self.search(after=after, limit=_PAGE):
            yield page
            after = page[-1].sequence

    def _up_to(self, head: Head, first: Sequence[Entry], pages: Iterator[Sequence[Entry]]) -> Iterator[Entry]:
        for page in (first, *pages):
            for entry in page:
                # What was appended since belongs to a later head; what no head reaches was put there by others.
                if entry.sequence > head.sequence and entry.sequence <= self.head().sequence:
                    return
                yield entry


class Tables(Calls):
    """Iceberg tables, read."""

    list = tables.list_tables.all
    show = tables.show
    schema = tables.schema
    history = tables.history
    preview = tables.preview
    query = tables.query
    statistics = tables.statistics
    changes = tables.changes
    files = tables.files
    health = tables.health
    fleet = tables.fleet.all
    health_history = tables.health_history


class Maintenance(Calls):
    """Operations on tables."""

    plan = maintenance.plan
    policy = maintenance.policy
    compact = maintenance.compact
    manifests = maintenance.manifests
    expire = maintenance.expire
    orphans = maintenance.orphans
    vacuum = maintenance.vacuum
    list = maintenance.list_operations
    show = maintenance.show
    cancel = maintenance.cancel


class Evolution(Calls):
    """Iceberg tables, changed by hand."""

    plan = evolution.plan
    add_column = evolution.add_column
    rename_column = evolution.rename_column
    drop_column = evolution.drop_column
    move_column = evolution.move_column
    alter_type = evolution.alter_type
    set_nullable = evolution.set_nullable
    set_doc = evolution.set_doc
    add_partition = evolution.add_partition
    drop_partition = evolution.drop_partition
    replace_partition = evolution.replace_partition
    set_sort_order = evolution.set_sort_order
    rollback = evolution.rollback
    set_ref = evolution.set_ref
    drop_ref = evolution.drop_ref
    fast_forward = evolution.fast_forward
    diff = evolution.diff


class Notebooks(Calls):
    """The caller's own notebook."""

    start = notebooks.start
    stop = notebooks.stop
    status = notebooks.status
    pipeline = notebooks.pipeline
    save = notebooks.save


class Installation(Calls):
    """What an Admin sets for all of it."""

    config = installation.config
    set_config = installation.set_config


class Runs(Calls):
    """What people ask about runs."""

    explain = runs.explain


class Lifecycle(Calls):
    """A lifecycle, asked as one person."""

    def __init__(self, way: Way) -> None:
        super().__init__(way)
        self.pipelines = Pipelines(way)
        self.catalog = Catalog(way)
        self.promotions = Promotions(way)
        self.environments = Environments(way)
        self.people = People(way)
        self.tables = Tables(way)
        self.maintenance = Maintenance(way)
        self.evolution = Evolution(way)
        self.notebooks = Notebooks(way)
        self.audit = Audit(way)
        self.installation = Installation(way)
        self.runs = Runs(way)

    def sign_in(self, name: str, password: str, life: timedelta) -> Issued:
        """A personal token for a password; needs no token before."""
        return self.way.sign_in(name, password, life)

    def close(self) -> None:
        """Gives every connection back."""
        self.way.close()
