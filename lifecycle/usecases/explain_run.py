"""Why a run failed, was refused or cancelled, for whoever may see its pipelines."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.domain.environment import Environment
from lifecycle.domain.explanation import (
    Cause,
    Change,
    Explanation,
    GoodRun,
    cause_of,
    changes_since,
    error_of,
    one_line,
)
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Admission, AdmissionState
from lifecycle.domain.run_facts import Ending, RunFacts, RunPart
from lifecycle.domain.spec_diff import SpecDiff, diff_specs
from lifecycle.errors import Forbidden, NotFound
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.specs import spec_of

_ENTRIES = 200  # of the audit log that are looked through for who cancelled it
_CHECKS = 5


def explain_run(ctx: Context, who: Actor, run_id: str) -> Explanation:
    """Raises NotFound for a run that nobody knows, and in the same words for who may not see all of its pipelines."""
    facts = ctx.orchestrator.run_facts(run_id)
    with ctx.store.read() as view:
        admissions = view.runs.admissions_of(run_id)
        if facts is None and admissions:
            facts = _as_admitted(view, admissions)
        if facts is None:
            raise _unseen(run_id)
        try:
            _require_seen(view, who, facts.parts)
        except Forbidden:
            raise _unseen(run_id) from None
    good = _last_good(ctx, facts)
    with ctx.store.read() as view:
        return _explained(view, facts, good, {one.pipeline_id: one for one in admissions})


def _unseen(run_id: str) -> NotFound:
    return NotFound(f"there is no run {run_id} here, or you may not see it")


def _require_seen(view: View, who: Actor, parts: Sequence[RunPart]) -> None:
    if not parts:
        # Somebody else's assets: who sees all of Dagster sees them.
        require(view, who, Role.VIEWER, Target(), "reading a run")
    for part in parts:
        known = view.pipelines.find(part.pipeline)
        target = Target() if known is None else target_of(view, known)
        require(view, who, Role.VIEWER, target, "reading a run")


def _last_good(ctx: Context, facts: RunFacts) -> RunFacts | None:
    """Of the same pipelines in the same environment, and of nothing else."""
    if not facts.parts or facts.ending is Ending.SUCCEEDED:
        return None
    wanted = {(part.pipeline, part.environment) for part in facts.parts}
    for run_id in ctx.orchestrator.good_runs_before(facts.run_id):
        found = ctx.orchestrator.run_facts(run_id)
        if found is not None and {(part.pipeline, part.environment) for part in found.parts} == wanted:
            return found
    return None


def _explained(view: View, facts: RunFacts, good: RunFacts | None, admissions: dict[int, Admission]) -> Explanation:
    part = _failing_part(facts)
    cause, said = cause_of(facts), error_of(facts)
    pipeline = ", ".join(one.pipeline for one in facts.parts)
    version = _version(view, part)
    revoked = next((one for one in admissions.values() if one.state is AdmissionState.REVOKED), None)
    stopper = _canceller(view, facts.run_id) if cause is Cause.CANCELLED else None
    if revoked is not None and cause in (Cause.CANCELLED, Cause.ERROR) and revoked.why:
        said = said or one_line(revoked.why)
    failed = sorted(facts.failed_checks, key=lambda one: not one.blocking)[:_CHECKS]
    step = facts.failures[0] if facts.failures else None
    changed: tuple[Change, ...] = ()
    last: GoodRun | None = None
    if good is not None:
        before = _part_of(good, part)
        last = GoodRun(run_id=good.run_id, version=_version(view, before), ended=good.ended)
        changed = changes_since(good, facts, _code(view, before, part), (last.version, version))
    return Explanation(
        run_id=facts.run_id,
        pipeline=pipeline,
        environment=part.environment if part else None,
        version=version,
        by=facts.launched_by,
        partition=facts.partition,
        state=facts.ending,
        cause=cause,
        summary=_summary(facts, part, version, cause, said, stopper),
        step=step.step if step else None,
        node=step.node if step else failed[0].node if failed else None,
        said=said or None,
        checks=tuple(failed),
        ended=facts.ended,
        last_good=last,
        changed=changed,
        todo=tuple(_todo(facts, part, cause, last, changed)),
    )


def _summary(facts: RunFacts, part: RunPart | None, version: str, cause: Cause, said: str, stopper: str | None) -> str:
    where = f"{part.pipeline} {version} in {part.environment.label}" if part else f"run {facts.run_id}"
    at = f" at {facts.failures[0].node}" if facts.failures else ""
    match cause:
        case Cause.CHECK:
            first = next(one for one in facts.failed_checks if one.blocking)
            return f"{where} failed its check {first.check} on {first.node}, which was not published: {first.message}"
        case Cause.REFUSED:
            return f"the gate refused {where}: {said}"
        case Cause.CANCELLED:
            return f"{where} was cancelled by {stopper or 'somebody whose name was not recorded'}"
        case Cause.MEMORY:
            return f"{where} ran out of memory{at}"
        case Cause.TIME:
            return f"{where} ran out of time{at}"
        case Cause.KILLED:
            return f"the process of {where} was killed before it could say why, often because memory was short"
        case Cause.ERROR:
            return f"{where} failed{at}: {said or 'Dagster recorded no error'}"
        case _:
            return f"{where} is {facts.ending.value}" if facts.ended is None else f"{where} {facts.ending.value}"


def _todo(
    facts: RunFacts, part: RunPart | None, cause: Cause, last: GoodRun | None, changed: Sequence[Change]
) -> list[str]:
    """What helps most comes first; each names what does it, for people and for agents."""
    name = part.pipeline if part else "the pipeline"
    kinds = {one.kind for one in changed}
    found: list[str] = []
    if cause is Cause.NONE:
        return ["nothing failed here"] if facts.ended else ["wait for it: wait_run"]
    if cause is Cause.REFUSED:
        return [
            "do what the reason says; drls status (get_pipeline) shows what is active, frozen or stopped",
            f"run it again: drls run {name} (run)",
        ]
    if cause is Cause.CANCELLED:
        return [f"run it again when the reason is over: drls run {name} (run)"]
    if cause in (Cause.MEMORY, Cause.KILLED):
        found.append("raise [engine] memory or run fewer partitions at once; drls doctor shows what this machine has")
    if cause is Cause.TIME:
        found.append("look whether a source or the engine is slow or down: drls doctor, drls logs")
    if "code" in kinds and last is not None:
        found.append(
            f"compare with {last.version}, the last good version: drls pipeline diff (diff), and fix the change"
        )
    if "schema" in kinds:
        found.append("follow the changed columns in the step that names them, or have the source put back")
    if "data" in kinds or (cause is Cause.CHECK and "code" not in kinds):
        found.append("look at the rows above in their source (preview); fix them there, or filter them in a step")
    if cause is Cause.CHECK:
        found.append("change the check only if the rows are right; then save the version and run it in development")
    if "tools" in kinds:
        found.append("read the release notes of the tools that changed, or go back to their previous versions")
    if not found:
        found.append(f"read the log: drls logs, or get_run({facts.run_id}, logs=error)")
    found.append(f"run it again: drls run {name} (run)")
    return found


def _failing_part(facts: RunFacts) -> RunPart | None:
    """The pipeline of the step that failed first, else the first one."""
    failed = next((one.pipeline for one in facts.failures), None)
    return next((part for part in facts.parts if part.pipeline == failed), facts.parts[0] if facts.parts else None)


def _part_of(run: RunFacts, like: RunPart | None) -> RunPart | None:
    return next((one for one in run.parts if like is not None and one.pipeline == like.pipeline), None)


def _version(view: View, part: RunPart | None) -> str:
    if part is None:
        return "unknown"
    known = view.pipelines.find(part.pipeline)
    found = view.pipelines.with_digest(known.id, part.digest) if known else None
    return f"v{found.number}" if found else "draft"


def _code(view: View, before: RunPart | None, now: RunPart | None) -> SpecDiff | None:
    """None where one of them was never saved."""
    if before is None or now is None:
        return None
    if before.digest == now.digest:
        return SpecDiff()
    known = view.pipelines.find(now.pipeline)
    found = [view.pipelines.with_digest(known.id, one.digest) for one in (before, now)] if known else [None]
    if any(one is None for one in found):
        return None
    old, new = (spec_of(one) for one in found if one is not None)
    return diff_specs(old, new)


def _canceller(view: View, run_id: str) -> str | None:
    """Who asked Dagster to end it, through its door."""
    for entry in view.log.search(verb="dagster.changed", limit=_ENTRIES):
        for what, said in zip(entry.body.get("what", ()), entry.body.get("arguments", ()), strict=False):
            named = [said.get("runId"), *(said.get("runIds") or ())]
            if what.startswith("terminate") and run_id in named:
                return str(entry.actor.get("name"))
    return None


def _as_admitted(view: View, admissions: Sequence[Admission]) -> RunFacts:
    """What the lifecycle itself knows, where the orchestrator is elsewhere or forgot the run."""
    first = admissions[0]
    endings = {"succeeded": Ending.SUCCEEDED, "failed": Ending.FAILED, "cancelled": Ending.CANCELLED}
    running = Ending.RUNNING if first.state is AdmissionState.RUNNING else Ending.QUEUED
    ended = endings.get(
        first.outcome or "", Ending.CANCELLED if first.state is AdmissionState.REVOKED else Ending.FAILED
    )
    by = view.people.get(first.admitted_by).name if first.admitted_by is not None else None
    return RunFacts(
        run_id=first.run_id,
        parts=tuple(
            RunPart(
                pipeline=view.pipelines.get(one.pipeline_id).name,
                environment=Environment(one.environment),
                digest=view.pipelines.version(one.version_id).digest,
            )
            for one in admissions
        ),
        ending=running if first.state.is_live else ended,
        launched_by=by,
        created=first.admitted_at,
        ended=first.ended_at,
        said=(first.why,) if first.why else (),
    )
