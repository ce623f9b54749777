"""The run queue with the gate before it: what is launched through Dagster comes through here."""

from __future__ import annotations

from typing import Any

from dagster import DagsterRun, QueuedRunCoordinator, SubmitRunContext

from drls_dagster.dagster_private.tags import PRIORITY_TAG
from drls_dagster.dagster_private.workspace import BaseWorkspaceRequestContext
from drls_dagster.gate.launched_by import launcher_of
from drls_dagster.gate.parts import parts_of
from drls_dagster.gate.queue import admit_whole, fail, give_back, own_tags, shown_tags
from drls_dagster.gate.traced import TRACE_TAG, place_of
from drls_dagster.runs.part import Part
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.settings import load_settings
from drls_dagster.tags import REFUSED_TAG
from drls_dagster.traces.sending import Span
from drls_dagster.traces.spans import span


class GatedRunCoordinator(QueuedRunCoordinator):
    """Admits a run or ends it with the reason; then Dagster's queue, one run per pipeline and environment.

    `dagster.yaml`: `run_coordinator: {module: drls_dagster.gate.coordinator, class: GatedRunCoordinator}`, with
    QueuedRunCoordinator's configuration.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        run = context.dagster_run
        parts = parts_of(self._instance, run)
        names = ",".join(part.pipeline for part in parts)
        settings = load_settings()
        with span(settings, "admit run", {"run_id": run.run_id, "pipeline": names}, above=place_of(run)) as made:
            if made.place is not None and made.above is None:
                self._instance.add_run_tags(run.run_id, {TRACE_TAG: made.place.text})
            return self._submit(context, run, parts, made)

    def _submit(self, context: SubmitRunContext, run: DagsterRun, parts: tuple[Part, ...], made: Span) -> DagsterRun:
        tags = own_tags(parts)
        if tags:
            self._instance.add_run_tags(run.run_id, tags)
            if PRIORITY_TAG in run.tags:
                # The order of admission is the order of runs: an evidence session must not be overtaken.
                self._instance.add_run_tags(run.run_id, {PRIORITY_TAG: "0"})
            if REFUSED_TAG in run.tags:
                # Of a run that was executed again, or of a launch that would hide itself.
                self._instance.add_run_tags(run.run_id, {REFUSED_TAG: "false"})
        fresh = self._instance.get_run_by_id(run.run_id) or run
        try:
            person = launcher_of(load_settings(), fresh, parts)
            admissions = admit_whole(self._instance, fresh, parts, person)
        except GateRefused as refused:
            made.failed = "refused"
            fail(self._instance, fresh, str(refused))
            return self._instance.get_run_by_id(run.run_id) or fresh
        shown = shown_tags(fresh, admissions, person)
        if shown:
            self._instance.add_run_tags(run.run_id, shown)
            fresh = self._instance.get_run_by_id(run.run_id) or fresh
        workspace: BaseWorkspaceRequestContext = context.workspace
        return super().submit_run(SubmitRunContext(fresh, workspace))

    def cancel_run(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        cancelled: Any = super().cancel_run(run_id)
        after = self._instance.get_run_by_id(run_id)
        if run is not None and after is not None and after.is_finished:
            give_back(self._instance, run, "cancelled in the queue")
        return bool(cancelled)
