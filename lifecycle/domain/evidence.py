"""Evidence: the receipts of one session and one version that cover every sink and blocking check (L5, D9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from lifecycle.domain.duration import write_duration
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.policy import Policy
from lifecycle.domain.run import InputRead, Receipt, Session


class Asked(Frozen):
    """What evidence must cover: sink tables, and per table the checks (`node.check`) that block."""

    tables: tuple[str, ...]
    blocking: dict[str, tuple[str, ...]]


class Evidence(Frozen):
    """What was found; `problems` is empty when it is enough, else what to do is in each line."""

    session: int | None
    receipts: tuple[int, ...] = ()
    inputs: tuple[InputRead, ...] = ()
    candidates: dict[str, SnapshotId] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    problems: tuple[str, ...] = ()


def assess(
    asked: Asked,
    *,
    where: Environment,
    session: Session | None,
    receipts: Sequence[Receipt],
    chains: Mapping[str, Sequence[int]],
    parameters: Mapping[str, Mapping[str, Any]],
    policy: Policy,
    now: datetime,
    ran_before: bool = False,
) -> Evidence:
    """Whether a session in `where` proves a version.

    `receipts` are the session's, oldest first. `chains` is, per table, the snapshots from the
    candidate (first) back to, without, the session's base. `parameters` are by root run. `ran_before`: the
    version ran in an earlier session, which a rollback, a demotion or a refresh has ended.
    """
    if session is None or not session.opened_at:
        what = (
            (
                f"earlier runs in {where.label} no longer count as evidence, because a new evidence session "
                "started after them"
            )
            if ran_before
            else f"nothing has run in {where.label} yet"
        )
        return Evidence(session=session and session.id, problems=(f"{what}: run the pipeline in {where.label}",))
    problems: list[str] = []
    used: dict[int, Receipt] = {}
    candidates: dict[str, int] = {}
    by_snapshot = {(receipt.table_name, receipt.snapshot): receipt for receipt in receipts}
    for table in asked.tables:
        chain = chains.get(table, ())
        if not chain:
            problems.append(f"{table}: nothing was published in session {session.id}: run the pipeline there")
            continue
        named = [by_snapshot.get((table, snapshot)) for snapshot in chain]
        for snapshot, receipt in zip(chain, answering(chain, named), strict=True):
            if receipt is None:
                problems.append(
                    f"{table}: snapshot {snapshot} was not written by this version in session {session.id}: "
                    f"refresh the session and run again"
                )
        found = [receipt for receipt in named if receipt is not None]
        used.update({receipt.id: receipt for receipt in found})
        candidates[table] = chain[0]
        problems.extend(_checks_missing(table, asked.blocking.get(table, ()), found))
    problems.extend(_too_old(used, policy, now))
    problems.extend(_wrong_parameters(used, parameters, policy))
    problems.extend(_not_fenced(used, policy))
    return Evidence(
        session=session.id,
        receipts=tuple(sorted(used)),
        inputs=_newest_inputs(used),
        candidates=candidates,
        parameters=dict(policy.evidence_parameters),
        problems=tuple(problems),
    )


def answering(chain: Sequence[int], named: Sequence[Receipt | None]) -> list[Receipt | None]:
    """Per snapshot of a chain, newest first, the receipt that covers it; `named` are those of the snapshots.

    A publish may bring several snapshots along: its receipt covers all from its own down to its base.
    """
    found: list[Receipt | None] = []
    within: Receipt | None = None
    for snapshot, receipt in zip(chain, named, strict=True):
        within = receipt or (None if within is None or within.base == snapshot else within)
        found.append(within)
    return found


def _checks_missing(table: str, blocking: Sequence[str], receipts: Sequence[Receipt]) -> list[str]:
    problems: list[str] = []
    for receipt in receipts:
        results = {f"{result.node}.{result.check}": result for result in receipt.details.checks}
        for name in blocking:
            if name not in results:
                problems.append(f"{table}: the check {name} did not run in receipt {receipt.id}: run again")
            elif not results[name].passed:
                problems.append(f"{table}: the check {name} failed in receipt {receipt.id}: fix it and run again")
    return problems


def _too_old(used: Mapping[int, Receipt], policy: Policy, now: datetime) -> list[str]:
    age = policy.evidence_max_age
    if age is None:
        return []
    return [
        f"{receipt.table_name}: receipt {receipt.id} is older than {write_duration(age)}: run again"
        for receipt in used.values()
        if receipt.at < now - age
    ]


def _not_fenced(used: Mapping[int, Receipt], policy: Policy) -> list[str]:
    if policy.fence != "required":
        return []
    return [
        f"{receipt.table_name}: receipt {receipt.id} is from a run without a fence, and the policy requires one: "
        "turn the fence on and run again"
        for receipt in used.values()
        if receipt.details.fence is None or not receipt.details.fence.holds
    ]


def _wrong_parameters(
    used: Mapping[int, Receipt], parameters: Mapping[str, Mapping[str, Any]], policy: Policy
) -> list[str]:
    return [
        (f"{receipt.table_name}: receipt {receipt.id} ran with {name}={ran!r}, but the policy requires {wanted!r}")
        for receipt in used.values()
        for name, wanted in policy.evidence_parameters.items()
        if (ran := parameters.get(receipt.root_run_id, {}).get(name)) != wanted
    ]


def _newest_inputs(used: Mapping[int, Receipt]) -> tuple[InputRead, ...]:
    """Every distinct input that the used receipts read, in order of node and name."""
    found = {
        (read.node, read.name, read.ref, read.snapshot, read.fingerprint): read
        for receipt in used.values()
        for read in receipt.details.inputs
    }
    return tuple(found[key] for key in sorted(found, key=str))
