"""The runs of a version where its evidence comes from: as plans, requests and reviewers see them."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.newer_runs import NewerRuns, VersionRun, newer_runs, version_runs
from lifecycle.domain.promotion import Promotion
from lifecycle.store.unit import View

_MOST = 500


def runs_of(view: View, pipeline_id: int, version_id: int, where: Environment) -> tuple[VersionRun, ...]:
    """The newest runs that began, oldest of them first, with how they ended."""
    started = view.runs.started(pipeline_id, version_id, where, limit=_MOST)
    published = view.runs.published_by({one.root_run_id for one in started}, pipeline_id)
    return version_runs(started, published, view.pipelines.tables(version_id))


def runs_since(view: View, promotion: Promotion) -> NewerRuns:
    """Those after the evidence that a request names."""
    plan = promotion.plan
    if plan.kind != "promote" or not plan.target.needs_evidence or not plan.source.has_sessions:
        return NewerRuns()
    receipts = view.runs.receipts(ids=plan.receipts) if plan.receipts else ()
    runs = runs_of(view, promotion.pipeline_id, promotion.version_id, plan.source)
    return newer_runs(runs, {one.root_run_id for one in receipts}, where=plan.source, session=plan.session)
