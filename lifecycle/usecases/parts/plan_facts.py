"""Gathering the facts for planning: the store's in one transaction, the data plane's outside any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.four_eyes import Eligibility, eligibility
from lifecycle.domain.plan import Plan
from lifecycle.domain.planning import DataFacts, StoreFacts
from lifecycle.domain.policy import HoldKind, Policy, PolicyRevision
from lifecycle.domain.seal import Altered, Digests, SealedFiles
from lifecycle.domain.version import Pipeline, Version
from lifecycle.ports import DataPlane
from lifecycle.store.unit import View
from lifecycle.usecases.loaded import loaded_digests, stuck_pipelines
from lifecycle.usecases.newer_runs import runs_of
from lifecycle.usecases.parts.access import target_of
from lifecycle.usecases.parts.contributors import contributors
from lifecycle.usecases.parts.specs import asked_of, local_commands, next_run, spec_of


def store_facts(
    view: View,
    pipeline: Pipeline,
    version: Version,
    target: Environment,
    *,
    requester: int | None = None,
    approved: Plan | None = None,
    expires_at: datetime | None = None,
) -> StoreFacts:
    """Everything the store knows. `requester` would be a contributor too (L6)."""
    source = target.before
    assert source is not None  # noqa: S101 (nothing is promoted to development)
    spec = spec_of(version)
    asked = asked_of(spec)
    replaced = view.deployments.active(pipeline.id, target)
    policy = view.policies.in_force(target, pipeline.id) if target.governed else None
    body = (policy and policy.body) or Policy()
    session = view.runs.newest_session(pipeline.id, source, version.id) if source.has_sessions else None
    if approved is not None and approved.session is not None:
        session = view.runs.session(approved.session)
    receipts = view.runs.receipts(session_id=session.id) if session else ()
    moves_data = target is Environment.PRODUCTION
    roots = [one.details.seal.root for one in receipts if one.version_id == version.id and one.details.seal]
    replaced_version = view.pipelines.version(replaced.version_id) if replaced else None
    schedules = replaced_version is not None and body.schedules_run(target)
    return StoreFacts(
        pipeline=pipeline.name,
        version=version,
        source=source,
        target=target,
        asked=asked,
        source_deployment=view.deployments.active(pipeline.id, source),
        target_version=replaced_version,
        policy=policy,
        session=session,
        receipts=tuple(one for one in receipts if one.version_id == version.id),
        parameters=view.runs.parameters({one.root_run_id for one in receipts}, pipeline.id),
        runs=runs_of(view, pipeline.id, version.id, source) if source.has_sessions else (),
        rewrites={table: view.runs.rewrites(table, target) for table in asked.tables} if moves_data else {},
        seals=view.seals.find(roots) if moves_data else {},
        eligibility=None
        if approved
        else who_may_approve(view, pipeline, version, target, policy=policy, requester=requester),
        owners=view.pipelines.owners(asked.tables, but=pipeline.id),
        drifts=tuple(d for d in view.runs.open_drifts(pipeline.id) if d.environment in (source, target)),
        stuck=_stuck(view, pipeline.name, source, target),
        freeze=view.policies.holding(HoldKind.FREEZE, target, pipeline.id),
        local_commands=local_commands(spec),
        next_target_run=next_run(spec_of(replaced_version), view.now) if replaced_version and schedules else None,
        expires_at=expires_at or view.now + body.expires,
    )


def _stuck(view: View, name: str, source: Environment, target: Environment) -> tuple[Environment, ...]:
    """Where the code location does not come to hold what is deployed (L15). In development an author's files may."""
    found = [source] if source.rank and name in stuck_pipelines(view, source) else []
    # What the target cannot load at all, the version that takes its place puts right.
    if name in stuck_pipelines(view, target) and name in (loaded_digests(view, target) or {}):
        found.append(target)
    return tuple(found)


def data_facts(
    plane: DataPlane,
    facts: StoreFacts,
    approved: Plan | None = None,
    *,
    thorough: bool = False,
    alive: Callable[[], None] = lambda: None,
) -> DataFacts:
    """Everything the data plane knows that the plan depends on.

    `thorough`: files are verified as far as the policy asks; otherwise, as for a page, only what costs no reading.
    `alive` is called every few seconds meanwhile.
    """
    if not facts.target.needs_evidence:
        return DataFacts()
    # First, since it may take minutes: the rest is as it is after that.
    altered = ()
    if facts.seals:
        look = plane.one_look(thorough=thorough)
        altered = _altered(look, facts, approved, thorough=thorough, alive=alive)
    plane = plane.one_look(thorough=thorough)
    tables = facts.asked.tables
    source = {table: plane.table(table, facts.source) for table in tables}
    target = {table: plane.table(table, facts.target) for table in tables}
    reads = [read for receipt in facts.receipts for read in receipt.details.inputs]
    on_main = {
        (read.name, read.snapshot): plane.is_on_main(read.name, read.snapshot)
        for read in reads
        if read.snapshot is not None
    }
    return DataFacts(
        source=source,
        target=target,
        chains={table: _chain(plane, facts, table, approved) for table in tables},
        on_main=on_main,
        fingerprints=dict(plane.fingerprints(facts.version.spec, facts.target)),
        metadata_changes={
            table: tuple(changes) for table, changes in plane.metadata_changes(facts.version.spec, facts.target).items()
        },
        positions=tuple(plane.positions(facts.version.spec, facts.target, facts.target)),
        positions_carried=tuple(plane.positions(facts.version.spec, facts.source, facts.target)),
        altered=altered,
    )


def _chain(plane: DataPlane, facts: StoreFacts, table: str, approved: Plan | None) -> tuple[int, ...]:
    """The snapshots from the candidate back to where the session began."""
    if approved is None:
        head = plane.table(table, facts.source).head
    else:
        named = [one.snapshot for one in facts.receipts if one.id in approved.receipts and one.table_name == table]
        head = named[-1] if named else None
    base = facts.session.bases.get(table) if facts.session else None
    return tuple(snapshot.id for snapshot in plane.snapshots(table, facts.source, head, base))


def _altered(
    plane: DataPlane, facts: StoreFacts, approved: Plan | None, *, thorough: bool, alive: Callable[[], None]
) -> tuple[Altered, ...]:
    """The files of the evidence that are not as they were published (L17)."""
    policy = facts.policy.body if facts.policy else None
    every = thorough and policy is not None and policy.verify == "digests"
    digests = Digests.ALL if every else Digests.CHANGED
    found: list[Altered] = []
    for table in facts.asked.tables:
        chosen = _sealed(facts, table, _chain(plane, facts, table, approved), approved)
        found.extend(plane.altered(table, facts.source, chosen, digests, alive=alive))
    return tuple(found)


def _sealed(facts: StoreFacts, table: str, chain: Sequence[int], approved: Plan | None) -> list[SealedFiles]:
    """The files of the publishes that the candidate is made of."""
    receipts = facts.receipts if approved is None else [one for one in facts.receipts if one.id in approved.receipts]
    return [
        facts.seals[one.details.seal.root]
        for one in receipts
        if one.table_name == table
        and one.snapshot in chain
        and one.details.seal
        and one.details.seal.root in facts.seals
    ]


def who_may_approve(
    view: View,
    pipeline: Pipeline,
    version: Version,
    target: Environment,
    *,
    policy: PolicyRevision | None,
    requester: int | None = None,
) -> Eligibility | None:
    """Who may still approve; None where nothing needs an approval or no policy is set."""
    if policy is None or policy.body is None:
        return None
    scope = target_of(view, pipeline, version)
    known = contributors(view, pipeline, version, target, requester)
    return eligibility(
        policy.body.parsed_quorum,
        view.people.standings(scope),
        lambda person: known.why_not(person, view.now),
        solo=policy.body.approvals == "solo",
        voices=lambda person: known.voices(person, view.now),
    )
