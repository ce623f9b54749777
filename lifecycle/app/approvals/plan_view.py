"""A promotion plan as people read it: from where to where, which tables, on which evidence, under which policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lifecycle.app.kit import links
from lifecycle.app.kit.policy_words import policy_words
from lifecycle.domain.plan import Carry, FieldChange, InputPlan, Plan
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.run import InputRead, Receipt, Work
from lifecycle.store.unit import View
from lifecycle.usecases.parts.activation import Ending, superseding


@dataclass(frozen=True, slots=True)
class TableLine:
    """What happens to one table. `rows` is what the newest run of the evidence wrote."""

    table: str
    base: int | None
    candidate: int | None
    rows: int | None
    metadata_changes: tuple[str, ...]
    seal: str | None = None


@dataclass(frozen=True, slots=True)
class RunLine:
    """One publish that counts as evidence; `url` leads to its run in Dagster, where that is reached."""

    receipt: int
    run_id: str
    url: str | None
    step: str
    partition: str
    table: str
    snapshot: int
    rows: int | None
    size: int | None
    took: str
    tools: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check's result on what one run wrote."""

    name: str
    table: str
    look: str
    word: str
    observed: str
    run_id: str
    url: str | None


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """What ran. `tools` names those of which more than one version took part."""

    runs: tuple[RunLine, ...]
    checks: tuple[CheckLine, ...]
    tools: tuple[str, ...]
    passed: int
    warned: int
    failed: int


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan with what its numbers stand for. `replaces` is the number of the version that it replaces.

    `inputs` are the plan's, each with how much of it the newest run of the evidence read.
    With what is active there until then end `closes`, open requests, and `revokes` queued runs (L1, L10).
    """

    plan: Plan
    replaces: int | None
    policy: tuple[str, ...]
    tables: tuple[TableLine, ...]
    inputs: tuple[tuple[InputPlan, InputRead | None], ...]
    evidence: EvidenceView
    moves_data: bool
    new_rows: int | None
    closes: tuple[Promotion, ...]
    revokes: int


def plan_view(view: View, pipeline_id: int, plan: Plan, dagster: str | None, *, ahead: bool = True) -> PlanView:
    """Reads what `plan` names: a few queries, however many tables and runs it has.

    `ahead`: it may still be executed, so the plan names what ends with it.
    """
    replaced = view.pipelines.with_digest(pipeline_id, plan.replaces) if plan.replaces else None
    revision = view.policies.get(plan.policy) if plan.policy is not None else None
    body = revision.body if revision else None
    receipts = view.runs.receipts(ids=plan.receipts) if plan.receipts else ()
    rows = {receipt.table_name: receipt.details.rows for receipt in receipts}
    read = {(one.node, one.snapshot): one for receipt in receipts for one in receipt.details.inputs}
    known = [one.rows for one in plan.positions if one.rows is not None]
    before = view.deployments.active(pipeline_id, plan.target) if ahead else None
    replacing = before is not None and before.deployed_digest != plan.spec_digest
    ends = superseding(view, before) if before is not None and replacing else Ending()
    return PlanView(
        plan=plan,
        replaces=replaced.number if replaced else None,
        policy=policy_words(body) if body else (),
        tables=tuple(
            TableLine(one.table, one.base, one.candidate, rows.get(one.table), one.metadata_changes, one.seal)
            for one in plan.tables
        ),
        inputs=tuple((one, read.get((one.node, one.snapshot))) for one in plan.inputs),
        evidence=evidence_view(receipts, dagster),
        moves_data=plan.carry is Carry.SNAPSHOT,
        new_rows=sum(known) if known else None,
        closes=ends.requests,
        revokes=len(ends.revoked.runs),
    )


def evidence_view(receipts: Sequence[Receipt], dagster: str | None) -> EvidenceView:
    """Receipts as runs and checks, the newest run first, what failed before what passed."""
    runs = tuple(_run(receipt, dagster) for receipt in reversed(receipts))
    checks = sorted(_checks(receipts, dagster), key=lambda line: ("rejected", "stale", "approved").index(line.look))
    looks = [line.look for line in checks]
    return EvidenceView(
        runs=runs,
        checks=tuple(checks),
        tools=differing_tools(receipts),
        passed=looks.count("approved"),
        warned=looks.count("stale"),
        failed=looks.count("rejected"),
    )


def differing_tools(receipts: Iterable[Receipt]) -> tuple[str, ...]:
    """Tools of which the evidence ran with more than one version: `spark: 4.1.3, 4.1.4`."""
    found: dict[str, set[str]] = {}
    for receipt in receipts:
        for name, version in receipt.details.tools.items():
            found.setdefault(name, set()).add(version)
    return tuple(f"{name}: {', '.join(sorted(of))}" for name, of in sorted(found.items()) if len(of) > 1)


def change_line(change: FieldChange) -> tuple[str, str, str]:
    """A field that moved, with what was approved and what is there now, in plain words."""
    return change.field, _plain(change.approved), _plain(change.now)


def _plain(value: object) -> str:
    if value is None:
        return "none"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return text if len(text) <= 200 else f"{text[:199]}…"


def _run(receipt: Receipt, dagster: str | None) -> RunLine:
    work = receipt.details
    return RunLine(
        receipt=receipt.id,
        run_id=receipt.run_id,
        url=_run_url(receipt, dagster),
        step=receipt.step,
        partition=receipt.partition,
        table=receipt.table_name,
        snapshot=receipt.snapshot,
        rows=work.rows,
        size=work.bytes,
        took=f"{work.seconds:.1f} s" if work.seconds is not None else "–",
        tools=", ".join(_made_with(work)),
        at=receipt.at,
    )


def _made_with(work: Work) -> Iterable[str]:
    yield from (f"{name} {version}" for name, version in sorted(work.tools.items()))
    if work.fence is not None:
        yield f"fence: {work.fence.value}"


def _run_url(receipt: Receipt, dagster: str | None) -> str | None:
    return links.run(dagster, receipt.run_id) if dagster and receipt.permit_id is not None else None


def _checks(receipts: Sequence[Receipt], dagster: str | None) -> Iterable[CheckLine]:
    for receipt in reversed(receipts):
        for one in receipt.details.checks:
            look, word = ("approved", "passed") if one.passed else ("stale", "warns")
            if not one.passed and one.blocking:
                look, word = "rejected", "failed"
            yield CheckLine(
                name=f"{one.node}.{one.check}",
                table=receipt.table_name,
                look=look,
                word=word,
                observed=one.observed,
                run_id=receipt.run_id,
                url=_run_url(receipt, dagster),
            )
