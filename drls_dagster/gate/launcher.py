"""Run launchers with the gate before them: a run that was revoked while it was queued does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import DefaultRunLauncher

from drls_dagster.dagster_private.launching import LaunchRunContext
from drls_dagster.gate.queue import fail, give_back, refuse_revoked
from drls_dagster.gate.refusal import GateRefused

if TYPE_CHECKING:
    from dagster import DagsterInstance


def may_launch(instance: DagsterInstance, context: LaunchRunContext) -> bool:
    """Whether the run may begin; one that may not is ended with the reason, without a traceback."""
    try:
        refuse_revoked(instance, context.dagster_run)
    except GateRefused as refused:
        fail(instance, context.dagster_run, str(refused))
        give_back(instance, context.dagster_run, "refused before it started")
        return False
    return True


class GatedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, after the gate.

    `dagster.yaml`: `run_launcher: {module: drls_dagster.gate.launcher, class: GatedRunLauncher}`.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        if may_launch(self._instance, context):
            super().launch_run(context)
