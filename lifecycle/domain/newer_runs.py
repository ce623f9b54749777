"""How runs of a version ended, and those since its evidence: shown with a plan, not approved with it (L3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.run import Admission, AdmissionState, Outcome


class RunResult(StrEnum):
    """PASSED: every table was published and nobody says that the run failed.

    INCOMPLETE: the orchestrator calls it a success, but it left tables out.
    """

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"


class VersionRun(Frozen):
    """A run with its re-executions: `run_id` is the newest of them, `root_run_id` the first.

    `order` is that of admission.
    """

    order: int
    run_id: str
    root_run_id: str
    session: int | None
    result: RunResult
    admitted_at: datetime
    ended_at: datetime | None


class NewerRuns(Frozen):
    """The runs since the evidence, oldest first: `ended` are over, `failed` of those did not pass."""

    environment: Environment | None = None
    runs: tuple[VersionRun, ...] = ()
    ended: int = 0
    failed: int = 0

    @property
    def warning(self) -> str:
        """What reviewers should know, in a line; empty when every newer run passed."""
        bad = [one for one in self.runs if _did_not_pass(one)]
        if not bad or self.environment is None:
            return ""
        runs = f"{self.failed} of {self.ended} {'run' if self.ended == 1 else 'runs'} in {self.environment.label}"
        return f"{runs} after this evidence did not pass: {bad[-1].run_id} {result_words(bad[-1].result)}"


def result_words(result: RunResult) -> str:
    """A result as the end of "run x …"."""
    match result:
        case RunResult.RUNNING:
            return "is running"
        case RunResult.CANCELLED:
            return "was cancelled"
        case RunResult.INCOMPLETE:
            return "published only some of the tables"
        case _:
            return result.value


def version_runs(
    admissions: Sequence[Admission], published: Mapping[str, Collection[str]], tables: Collection[str]
) -> tuple[VersionRun, ...]:
    """Runs that began, in their order; `published` is by root run what it and its re-executions published."""
    chains: dict[str, list[Admission]] = {}
    for one in sorted(admissions, key=lambda one: one.id):
        chains.setdefault(one.root_run_id, []).append(one)
    found = [
        VersionRun(
            order=chain[-1].id,
            run_id=chain[-1].run_id,
            root_run_id=root,
            session=chain[-1].session_id,
            result=_result(chain, set(tables) <= set(published.get(root, ()))),
            admitted_at=chain[-1].admitted_at,
            ended_at=chain[-1].ended_at,
        )
        for root, chain in chains.items()
    ]
    return tuple(sorted(found, key=lambda one: one.order))


def newer_runs(
    runs: Sequence[VersionRun], evidence: Collection[str], *, where: Environment, session: int | None
) -> NewerRuns:
    """Those after the newest run of the evidence that passed as a whole; `evidence` are its root runs.

    Where there is no evidence, those of the `session`.
    """
    proving = [one for one in runs if one.root_run_id in evidence]
    if not proving:
        return _counted(where, [one for one in runs if one.session == session])
    passed = [one.order for one in proving if one.result is RunResult.PASSED]
    start = max(passed, default=min(one.order for one in proving) - 1)
    return _counted(where, [one for one in runs if one.order > start])


def newest_run_problem(runs: Sequence[VersionRun], where: Environment) -> str:
    """What a policy that demands `newest_run_passed` objects to; empty when the newest run passed."""
    over = [one for one in runs if one.result is not RunResult.RUNNING]
    if not over or over[-1].result is RunResult.PASSED:
        return ""
    newest = over[-1]
    return (
        f"the newest run in {where.label}, {newest.run_id}, {result_words(newest.result)}, but the policy "
        f"requires it to pass: run the pipeline in {where.label} again"
    )


def _counted(where: Environment, runs: Sequence[VersionRun]) -> NewerRuns:
    return NewerRuns(
        environment=where,
        runs=tuple(runs),
        ended=sum(one.result is not RunResult.RUNNING for one in runs),
        failed=sum(map(_did_not_pass, runs)),
    )


def _did_not_pass(run: VersionRun) -> bool:
    return run.result not in (RunResult.RUNNING, RunResult.PASSED)


def _result(chain: Sequence[Admission], complete: bool) -> RunResult:
    newest = chain[-1]
    if any(one.state.is_live for one in chain):
        return RunResult.RUNNING
    if newest.outcome is Outcome.FAILED:
        return RunResult.FAILED
    if newest.outcome is Outcome.CANCELLED or newest.state is AdmissionState.REVOKED:
        return RunResult.CANCELLED
    if complete:
        return RunResult.PASSED
    return RunResult.FAILED if newest.outcome is None else RunResult.INCOMPLETE
