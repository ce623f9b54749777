"""From facts to a plan: what a promotion would be now, and everything that blocks it.

The same function serves `plan`, `request` and `execute`, so that what people are shown as blocking is
what blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import Field, InstanceOf

from lifecycle.domain.carry import CarryDecision, choose_carry
from lifecycle.domain.checklist import Check
from lifecycle.domain.environment import Environment
from lifecycle.domain.evidence import Asked, Evidence, assess
from lifecycle.domain.facts import TableFacts, only_rewritten
from lifecycle.domain.fence import FenceKind
from lifecycle.domain.four_eyes import Eligibility
from lifecycle.domain.model import Frozen
from lifecycle.domain.newer_runs import NewerRuns, VersionRun, newer_runs, newest_run_problem
from lifecycle.domain.plan import Advice, Carry, InputPlan, Plan, PositionPlan, TablePlan
from lifecycle.domain.policy import Hold, Policy, PolicyRevision
from lifecycle.domain.readiness import waits_for
from lifecycle.domain.run import Drift, InputRead, Receipt, Session
from lifecycle.domain.seal import Altered, SealedFiles, combined
from lifecycle.domain.version import Deployment, Version
from lifecycle.spec.repeated import repeated

_NAMED = 5  # altered files; more of them tell nobody more


class StoreFacts(Frozen):
    """What the store says about promoting `version` to `target`.

    `runs` are those of the version in its source that began, oldest first. `rewrites` are, by table, the
    snapshots of the target that hold the rows of an earlier one. `seals` are, by root, the files that its receipts
    published, where data may move.
    `stuck`: environments whose code location does not come to hold what is deployed of the pipeline.
    """

    pipeline: str
    version: Version
    source: Environment
    target: Environment
    asked: Asked
    source_deployment: Deployment | None
    target_version: Version | None
    policy: PolicyRevision | None
    session: Session | None
    receipts: tuple[Receipt, ...] = ()
    parameters: dict[str, dict[str, object]] = Field(default_factory=dict)
    runs: tuple[VersionRun, ...] = ()
    rewrites: dict[str, dict[int, int]] = Field(default_factory=dict)
    seals: dict[str, InstanceOf[SealedFiles]] = Field(default_factory=dict)
    eligibility: Eligibility | None = None
    owners: dict[str, str] = Field(default_factory=dict)
    drifts: tuple[Drift, ...] = ()
    stuck: tuple[Environment, ...] = ()
    freeze: Hold | None = None
    local_commands: tuple[str, ...] = ()
    next_target_run: datetime | None = None
    expires_at: datetime


class DataFacts(Frozen):
    """What the data plane says: per sink table in source and target, and about what was read.

    `positions_carried` hold where the source's data comes along, `positions` where the target keeps its own. `altered`
    are the files of the evidence that are no longer what was published.
    """

    source: dict[str, TableFacts] = Field(default_factory=dict)
    target: dict[str, TableFacts] = Field(default_factory=dict)
    chains: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    on_main: dict[tuple[str, int], bool] = {}  # noqa: RUF012 (pydantic copies it)
    fingerprints: dict[str, str] = Field(default_factory=dict)
    metadata_changes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    positions: tuple[PositionPlan, ...] = ()
    positions_carried: tuple[PositionPlan, ...] = ()
    altered: tuple[Altered, ...] = ()


class Planning(Frozen):
    """The plan as of now. `problems` are refused at a request and make an approved plan fail.

    `checks` are everything that was asked, the problems among them.
    """

    plan: Plan
    advice: Advice
    problems: tuple[str, ...]
    evidence: Evidence
    checks: tuple[Check, ...] = ()


def planning(store: StoreFacts, data: DataFacts, now: datetime, approved: Plan | None = None) -> Planning:
    """What promoting would be at `now`.

    With `approved`, its candidates and receipts are looked at again, not the newest ones, and a base
    that only maintenance has moved, under its permits, counts as the approved one.
    """
    policy = (store.policy and store.policy.body) or Policy()
    receipts = _named(store.receipts, approved)
    evidence = _evidence(store, data, receipts, policy, now)
    decision = _carry(store, data, evidence)
    newer = _newer_runs(store, receipts, evidence)
    plan = Plan(
        pipeline=store.pipeline,
        version=store.version.number,
        spec_digest=store.version.digest,
        source=store.source,
        target=store.target,
        replaces=store.target_version and store.target_version.digest,
        carry=decision.carry,
        carry_reason=decision.reason,
        session=evidence.session,
        parameters=evidence.parameters,
        inputs=tuple(_input(read, store, data) for read in evidence.inputs),
        tables=tuple(
            _table(name, decision.carry, evidence, data, approved, store.rewrites, _roots(name, receipts, evidence))
            for name in store.asked.tables
        ),
        positions=data.positions_carried if decision.carry is Carry.SNAPSHOT else data.positions,
        receipts=evidence.receipts,
        policy=store.policy.id if store.policy else None,
    )
    checks = (
        *_checks(store, policy),
        *_evidence_checks(store, evidence, policy),
        *(_seal_checks(plan, data, policy) if decision.carry is Carry.SNAPSHOT else ()),
    )
    problems = tuple(check.text for check in checks if not check.ok)
    may = store.eligibility.may_approve if store.eligibility else ()
    waiting = waits_for(store.source_deployment, store.freeze, policy, now)
    advice = Advice(
        may_approve=tuple(sorted(standing.name for standing in may)),
        may_not=dict(sorted(store.eligibility.excluded.items())) if store.eligibility else {},
        blocked=problems if waiting is None else (*problems, waiting.why),
        warnings=(*_warnings(store, data, evidence, decision.carry), *([newer.warning] if newer.warning else [])),
        newer_runs=newer,
    )
    return Planning(plan=plan, advice=advice, problems=problems, evidence=evidence, checks=checks)


def _named(receipts: Sequence[Receipt], approved: Plan | None) -> Sequence[Receipt]:
    if approved is None:
        return receipts
    return [receipt for receipt in receipts if receipt.id in approved.receipts]


def _evidence(
    store: StoreFacts, data: DataFacts, receipts: Sequence[Receipt], policy: Policy, now: datetime
) -> Evidence:
    where = store.target.before
    if where is None or not store.target.needs_evidence:
        return Evidence(session=None)
    return assess(
        store.asked,
        where=where,
        session=store.session,
        receipts=receipts,
        chains=data.chains,
        parameters=store.parameters,
        policy=policy,
        now=now,
        ran_before=bool(store.runs),
    )


def _newer_runs(store: StoreFacts, receipts: Sequence[Receipt], evidence: Evidence) -> NewerRuns:
    """The runs since the evidence, of which the plan's digest says nothing (L3)."""
    if not store.target.needs_evidence or not store.source.has_sessions:
        return NewerRuns()
    roots = {one.root_run_id for one in receipts if one.id in evidence.receipts}
    return newer_runs(store.runs, roots, where=store.source, session=evidence.session)


def _carry(store: StoreFacts, data: DataFacts, evidence: Evidence) -> CarryDecision:
    separate = {
        table: facts.separate
        for table, facts in (*data.source.items(), *data.target.items())
        if facts.separate is not None
    }
    return choose_carry(
        moves_data=store.target is Environment.PRODUCTION,
        tables=store.asked.tables,
        separate=separate,
        inputs=evidence.inputs,
        on_main=data.on_main,
        candidates=evidence.candidates,
        target_fingerprints=data.fingerprints,
        next_target_run=store.next_target_run,
        expires_at=store.expires_at,
    )


def _input(read: InputRead, store: StoreFacts, data: DataFacts) -> InputPlan:
    # The target's fingerprint is what a promotion would start to read: that is what must not change.
    fingerprint = data.fingerprints.get(read.node) if read.snapshot is None else None
    return InputPlan(
        node=read.node,
        name=read.name,
        table_uuid=read.table_uuid,
        ref=read.ref,
        snapshot=read.snapshot,
        fingerprint=fingerprint,
    )


def _roots(name: str, receipts: Sequence[Receipt], evidence: Evidence) -> tuple[str, ...]:
    return tuple(
        one.details.seal.root
        for one in receipts
        if one.table_name == name and one.id in evidence.receipts and one.details.seal is not None
    )


def _table(
    name: str,
    carry: Carry,
    evidence: Evidence,
    data: DataFacts,
    approved: Plan | None,
    rewrites: Mapping[str, Mapping[int, int]],
    roots: Sequence[str],
) -> TablePlan:
    if carry is Carry.CODE:
        return TablePlan(table=name)
    facts = data.target[name]
    return TablePlan(
        table=name,
        table_uuid=facts.uuid,
        base=_base(name, facts, rewrites, approved),
        candidate=evidence.candidates.get(name),
        metadata_changes=data.metadata_changes.get(name, ()),
        seal=combined(roots),
    )


def _base(name: str, facts: TableFacts, rewrites: Mapping[str, Mapping[int, int]], approved: Plan | None) -> int | None:
    planned = next((table for table in approved.tables if table.table == name), None) if approved else None
    if planned is None or planned.base == facts.head:
        return facts.head
    if planned.base is not None and only_rewritten(facts.head, planned.base, rewrites.get(name, {})):
        return planned.base
    return facts.head


def _checks(store: StoreFacts, policy: Policy) -> Iterable[Check]:
    where, target, number = store.source.label, store.target.label, store.version.number
    active = store.source_deployment
    yield _check(
        active is not None and active.version_id == store.version.id,
        f"version {number} is active in {where}",
        f"version {number} is not active in {where}: promote it there first",
    )
    if store.target_version is not None and store.target_version.id == store.version.id:
        yield Check(False, f"version {number} is already active in {target}")
    if store.target.governed:
        missing = (
            f"{target} has no policy, so nothing can be promoted to it: set one with drls policy set "
            f"{store.target.value}"
        )
        yield _check(store.policy is not None, f"{target} has a policy", missing)
    if store.target.governed and store.local_commands:
        names = ", ".join(store.local_commands)
        text = (
            f"{names} runs a program that the version does not keep: put a script next to the pipeline file, pin an "
            "image by @sha256, or stay in QA"
        )
        yield Check(False, text)
    owned = [
        f"{table} is already written by pipeline {owner}: only one pipeline may write a table"
        for table, owner in sorted(store.owners.items())
    ]
    yield from _each("no other pipeline writes its tables", owned)
    drifted = [
        f"{drift.table_name} has drifted on {drift.ref} ({drift.told}): a "
        "LeadDataEngineer must adopt or revert it first"
        for drift in store.drifts
    ]
    yield from _each(f"nothing has drifted in {where} or {target}", drifted)
    stuck = [
        f"the code location of {one.label} has not loaded the deployed version of {store.pipeline}, and "
        "reloading does not help: fix the error that Dagster shows there"
        for one in store.stuck
    ]
    yield from _each("the deployed versions are loaded", stuck)
    if store.target.governed and store.eligibility is not None:
        some = store.eligibility.reachable
        yield _check(some, "enough people can approve", _nobody(store.eligibility, policy))


def _evidence_checks(store: StoreFacts, evidence: Evidence, policy: Policy) -> Iterable[Check]:
    where = store.target.before
    if where is None or not store.target.needs_evidence:
        return
    count = len(evidence.receipts)
    covered = f"{count} receipt{'' if count == 1 else 's'} of session {evidence.session}"
    yield from _each(f"{covered} cover every table and every blocking check", evidence.problems)
    if policy.newest_run_passed:
        problem = newest_run_problem(store.runs, where)
        yield _check(not problem, f"the newest run in {where.label} passed", problem)


def _seal_checks(plan: Plan, data: DataFacts, policy: Policy) -> Iterable[Check]:
    """Whether what would go live is what was published (L17)."""
    if any(table.seal for table in plan.tables):
        problems = [f"{one.told}: run the pipeline again in {plan.source.label}" for one in data.altered[:_NAMED]]
        if len(data.altered) > _NAMED:
            problems.append(f"{len(data.altered) - _NAMED} more files are not as they were published")
        yield from _each(f"the files to promote are as they were published ({policy.verify} verified)", problems)


def _check(ok: bool, fulfilled: str, missing: str) -> Check:
    return Check(ok, fulfilled if ok else missing)


def _each(fulfilled: str, problems: Sequence[str]) -> Iterable[Check]:
    return [Check(False, text) for text in problems] or [Check(True, fulfilled)]


def _nobody(eligibility: Eligibility, policy: Policy) -> str:
    helpers = [name for name, why in eligibility.excluded.items() if "contributed" in why]
    let = f"; have someone other than {', '.join(sorted(helpers))} do that work, or" if helpers else ";"
    one = [f"{', '.join(names)} count as one person" for names in eligibility.as_one]
    hands = f" ({'; '.join(one)}, because one of them gave another a password, a token or a link)" if one else ""
    return f"not enough people can approve ({policy.quorum}){hands}{let} grant the role to another person"


def _warnings(store: StoreFacts, data: DataFacts, evidence: Evidence, carry: Carry) -> Iterable[str]:
    if carry is Carry.CODE:
        for table, changes in sorted(data.metadata_changes.items()):
            for change in changes:
                yield f"{table}: {store.target.label}'s first run changes {change}"
    for table, facts in sorted(data.source.items()):
        candidate = evidence.candidates.get(table)
        if candidate is not None and facts.head != candidate:
            yield f"{table}: {store.source.label} has moved from snapshot {candidate} to {facts.head}"
    if carry is Carry.SNAPSHOT:
        unsealed = {one.table_name for one in store.receipts if one.id in evidence.receipts and not one.details.seal}
        for table in sorted(unsealed):
            yield f"{table}: published by a DRLS without seals, so its files cannot be verified"
    tools = {f"{k} {v}" for receipt in store.receipts for k, v in receipt.details.tools.items()}
    for name in sorted(repeated(tool.split(" ")[0] for tool in tools)):
        yield f"the evidence was produced with several versions of {name}"
    unfenced = [one for one in store.receipts if one.id in evidence.receipts and one.details.fence is FenceKind.NONE]
    if unfenced:
        yield f"{len(unfenced)} of {len(evidence.receipts)} receipts are from runs without a fence"
