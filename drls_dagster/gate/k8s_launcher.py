"""The Kubernetes launcher, after the gate. A module of its own: importing dagster-k8s takes a second."""

from __future__ import annotations

from typing import Any

from dagster import DagsterRun
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext

from drls_dagster.dagster_private.launching import LaunchRunContext
from drls_dagster.gate.launcher import may_launch, token_or_refusal
from drls_dagster.gate.tokens import Given
from drls_dagster.runs.address import TOKEN_VARIABLE, URL_VARIABLE
from drls_dagster.settings import load_settings


class GatedK8sRunLauncher(K8sRunLauncher):
    """K8sRunLauncher after the gate, with its configuration.

    Where DRLS_RUN_URL says at which address pods find this DRLS, each pod gets a run token.
    Set `only_allow_user_defined_k8s_config_fields`: a run tag could replace the image and the command otherwise.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._given: dict[str, Given] = {}

    def launch_run(self, context: LaunchRunContext) -> None:
        if not may_launch(self._instance, context):
            return
        given = token_or_refusal(self._instance, context, load_settings())
        if isinstance(given, str):
            return
        run_id = context.dagster_run.run_id
        if given is not None:
            self._given[run_id] = given
        try:
            super().launch_run(context)
        finally:
            self._given.pop(run_id, None)

    def get_container_context_for_run(self, dagster_run: DagsterRun) -> K8sContainerContext:
        """Dagster's own, with the token of a run that is being launched."""
        found = super().get_container_context_for_run(dagster_run)
        given = self._given.get(dagster_run.run_id)
        if given is None:
            return found
        variables = [f"{URL_VARIABLE}={given.url}", f"{TOKEN_VARIABLE}={given.token.text}"]
        return found.merge(K8sContainerContext(env_vars=variables))
