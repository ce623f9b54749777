"""The Kubernetes launcher, after the gate. A module of its own: importing dagster-k8s takes a second."""

from __future__ import annotations

from dagster_k8s import K8sRunLauncher

from drls_dagster.dagster_private.launching import LaunchRunContext
from drls_dagster.gate.launcher import may_launch


class GatedK8sRunLauncher(K8sRunLauncher):
    """K8sRunLauncher after the gate, with its configuration.

    Set `only_allow_user_defined_k8s_config_fields`: a run tag could replace the image and the command otherwise.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        if may_launch(self._instance, context):
            super().launch_run(context)
