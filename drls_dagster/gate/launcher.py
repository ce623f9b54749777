"""Run launchers with the gate before them: a run that was revoked while it was queued does not start."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dagster import DefaultRunLauncher

from drls_dagster.dagster_private.launching import LaunchRunContext, module_of
from drls_dagster.gate.queue import fail, give_back, refuse_revoked
from drls_dagster.gate.tokens import Given, token_for
from drls_dagster.gate.traced import place_of
from drls_dagster.gate.warm_host import host_here
from drls_dagster.runs.handover import hand_over, take_back
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.run_process import find
from drls_dagster.settings import Settings, load_settings
from drls_dagster.traces.spans import span

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

_DEFINITIONS = "drls_dagster.definitions"


def may_launch(instance: DagsterInstance, context: LaunchRunContext) -> bool:
    """Whether the run may begin; one that may not is ended with the reason, without a traceback."""
    try:
        refuse_revoked(instance, context.dagster_run)
    except GateRefused as refused:
        fail(instance, context.dagster_run, str(refused))
        give_back(instance, context.dagster_run, "refused before it started")
        return False
    return True


def is_of_up(run: DagsterRun) -> bool:
    """Whether a run is of a code location of `drls up` and of this Python, so that its warm host can start it."""
    origin = run.job_code_origin
    if origin is None:
        return False
    where = origin.repository_origin
    return module_of(where.code_pointer) == _DEFINITIONS and where.executable_path == sys.executable


def token_or_refusal(instance: DagsterInstance, context: LaunchRunContext, settings: Settings) -> Given | str | None:
    """The run's token, None where the run gets none, or why it was refused, with which it has ended."""
    run = context.dagster_run
    try:
        return token_for(instance, run, settings)
    except GateRefused as refused:
        fail(instance, run, str(refused))
        give_back(instance, run, "refused before it started")
        return str(refused)


class GatedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, after the gate. Under `drls up` the process of a run gets a run token, and is a fork of
    the warm host; where none is there, the code server starts it.

    `dagster.yaml`: `run_launcher: {module: drls_dagster.gate.launcher, class: GatedRunLauncher}`.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        with span(load_settings(), "launch run", {"run_id": run.run_id}, above=place_of(run)):
            self._launch(context, run)

    def _launch(self, context: LaunchRunContext, run: DagsterRun) -> None:
        if not may_launch(self._instance, context):
            return
        settings = load_settings()
        given = token_or_refusal(self._instance, context, settings)
        if given is None:
            self._start(context)
        elif isinstance(given, Given):
            hand_over(settings, run.run_id, given.token, given.url)
            try:
                self._start(context)
            except BaseException:
                take_back(settings, run.run_id)
                raise

    def terminate(self, run_id: str) -> bool:
        run, process = self._instance.get_run_by_id(run_id), find(load_settings().home, run_id)
        if run is None or run.is_finished:
            return False
        if process is None or not process.is_alive():
            return super().terminate(run_id)
        self._instance.report_run_canceling(run)
        return process.interrupt()

    def _start(self, context: LaunchRunContext) -> None:
        run, host = context.dagster_run, host_here()
        if host is None or not is_of_up(run) or host.launch(run.run_id) is None:
            super().launch_run(context)
