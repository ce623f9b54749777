"""Checks on sources and transforms: a result counts for the recipe that it looked at, and for no other.

A sink may read otherwise than the steps above it did when they ran: it pins again when its table moved (D3), is at
another position than a sink next to it, or is rebuilt. What it publishes was checked as it reads it, or is checked now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.runs.step_spans import SpanKind
from drls_dagster.steps.bad_rows import tell_bad_rows
from drls_dagster.steps.checks import Finding, checks_of, evaluate, evidence_of
from drls_dagster.steps.spark import arguments_of
from lifecycle.spec import SinkNode, SourceNode, SqlCheck

if TYPE_CHECKING:
    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import PipelineRun, Reads
    from lifecycle.domain.run import CheckResult


class ChecksFailed(DrlsError):
    """A blocking check on what a sink would read failed; nothing was written."""


def check_node(frames: Frames, node_id: str, reads: Reads) -> tuple[Finding, ...]:
    """Evaluates the checks on a source or transform, and keeps what they find for the sinks below."""
    run = frames.run
    checks = checks_of(run.spec, node_id)
    if not checks:
        return ()
    seen = _seen(run, node_id, reads)
    frame = frames.frame(node_id, seen)
    view = frames.view(node_id, seen)
    with frames.reading(node_id, seen), run.spans.span(SpanKind.CHECK, node_id) as facts:
        results = evaluate(run.session.spark, frame, node_id, checks, view, lambda sql: arguments_of(run, node_id, sql))
        facts.checks, facts.failed_checks = len(results), sum(not one.passed for one in results)
    tell_bad_rows(run, node_id, frame, checks, results, view)
    run.memory.record_checks(node_id, _key(frames, node_id, seen), [asdict(one) for one in results])
    return tuple(results)


def checks_above(frames: Frames, sink: SinkNode, reads: Reads) -> tuple[CheckResult, ...]:
    """What the checks on everything that feeds `sink` say of what it reads; evaluated now where nobody has.

    Raises ChecksFailed where a blocking one fails, which then keeps the sink from being published.
    """
    run = frames.run
    evidence: list[CheckResult] = []
    for node_id in run.spec.ancestors(sink.id):
        if not checks_of(run.spec, node_id):
            continue
        found = run.memory.checks(node_id, _key(frames, node_id, _seen(run, node_id, reads)))
        if found is None:
            run.log(f"sink '{sink.id}': the checks on '{node_id}' cover what this sink reads from it")
            results: Sequence[Finding] = check_node(frames, node_id, reads)
        else:
            results = [Finding(**one) for one in found]
        failed = [one for one in results if one.blocking and not one.passed]
        if failed:
            raise ChecksFailed(
                (f"sink '{sink.id}' was not published: node '{node_id}' fails its checks on the data the sink reads: ")
                + "; ".join(f"{one.name}: {one.message}" for one in failed)
            )
        evidence += evidence_of(run.spec, node_id, results)
    return tuple(evidence)


def _seen(run: PipelineRun, node_id: str, reads: Reads) -> Reads:
    """What a check looks at: of a source all that is pinned, also where the sink takes only what is new in it."""
    if not isinstance(run.spec.node(node_id), SourceNode):
        return reads
    return {**reads, node_id: replace(reads[node_id], start=None)}


def _key(frames: Frames, node_id: str, reads: Reads) -> str:
    """Names the recipe, and the checks with their parameters: a resumed draft may have other ones."""
    run = frames.run
    checks = checks_of(run.spec, node_id)
    values = [sorted(arguments_of(run, node_id, one.sql).items()) for _, one in checks if isinstance(one, SqlCheck)]
    text = repr([[(name, check.model_dump_json()) for name, check in checks], values])
    return f"{frames.key(node_id, reads)}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
