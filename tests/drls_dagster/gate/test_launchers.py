"""The launchers with the gate before them: what was revoked in the queue never reaches what is behind."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml

from drls_dagster.asset_keys import node_key
from drls_dagster.dagster_private.launching import LaunchRunContext
from drls_dagster.gate.launcher import may_launch
from tests.drls_dagster.gate.test_ways_in import WHY, told_of
from tests.drls_dagster.gate.town import Town, environment_of
from tests.drls_dagster.gate.ways import Ways

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def queued(town: Town, ways: Ways, state: str) -> dg.DagsterRun:
    key = node_key(town.specs[state], "kept", environment_of(state), town.settings.catalog.name)
    (run_id,) = ways.launch_run(state, key)
    run = ways.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.QUEUED
    return run


def test_a_launcher_may_launch_what_is_admitted_and_not_what_was_revoked(town: Town, ways: Ways) -> None:
    context = ways.process.create_request_context()
    good, bad = queued(town, ways, "approved"), queued(town, ways, "revoked")
    town.change_while_queued("revoked")
    assert may_launch(ways.instance, LaunchRunContext(good, context))
    assert not may_launch(ways.instance, LaunchRunContext(bad, context))
    ended = ways.instance.get_run_by_id(bad.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert WHY["revoked"] in told_of(ways, bad.run_id)
    assert "Traceback" not in told_of(ways, bad.run_id)
    ways.instance.run_coordinator.cancel_run(good.run_id)


def test_the_kubernetes_launcher_asks_before_it_asks_the_cluster(town: Town, ways: Ways, tmp_path: Path) -> None:
    """No cluster is there: asking it would raise."""
    from drls_dagster.gate.k8s_launcher import GatedK8sRunLauncher

    nowhere = {"name": "nowhere", "cluster": {"server": "http://127.0.0.1:9"}}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [nowhere],
                "contexts": [{"name": "c", "context": {"cluster": "nowhere", "user": "u"}}],
                "users": [{"name": "u", "user": {}}],
                "current-context": "c",
            }
        )
    )
    launcher = GatedK8sRunLauncher(
        service_account_name="dagster",
        instance_config_map="dagster-instance",
        dagster_home="/opt/dagster",
        job_image="drls:1",
        load_incluster_config=False,
        kubeconfig_file=str(kubeconfig),
    )
    launcher.register_instance(ways.instance)
    context = ways.process.create_request_context()
    bad = queued(town, ways, "revoked")
    town.change_while_queued("revoked")
    launcher.launch_run(LaunchRunContext(bad, context))
    assert WHY["revoked"] in told_of(ways, bad.run_id)
