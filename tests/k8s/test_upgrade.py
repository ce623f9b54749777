"""Pods die, releases come and go, and a request that people opened before is decided after. Last, nothing is left."""

from __future__ import annotations

import json

import pytest

from drls_dagster.demo import versions
from lifecycle.domain.environment import Environment
from lifecycle.domain.explanation import Cause
from lifecycle.domain.promotion import State
from tests.k8s.cluster import NAMESPACE, Cluster
from tests.k8s.people import Door, Person
from tests.k8s.release import Release
from tests.k8s.story import EXAMPLE, FLIGHTS, approved, run_well
from tests.waiting import wait_until

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(3600)]
AT_ONCE = ("--force", "--grace-period=0")
JULY = "2013-07-01"


def _ready(cluster: Cluster, component: str) -> int:
    states = [
        {one["type"]: one["status"] for one in pod["status"].get("conditions", [])} for pod in cluster.pods(component)
    ]
    return sum(state.get("Ready") == "True" for state in states)


def _revision(cluster: Cluster) -> int:
    return json.loads(cluster.helm("history", "drls", "--output", "json"))[-1]["revision"]


def test_an_app_pod_is_killed_and_people_go_on(cluster: Cluster, door: Door, ada: Person) -> None:
    victim = cluster.pods("app")[0]["metadata"]["name"]
    cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", victim, *AT_ONCE)
    # What was on its way to the killed pod fails; a Service forgets the pod, and asking again is answered.
    wait_until(lambda: door.browser().get("/api/health").status_code == 200, 20)
    for _ in range(20):
        assert ada.lifecycle.people.me().name == ada.name
    wait_until(lambda: _ready(cluster, "app") == 2, 180)


def test_dagster_is_killed_in_the_middle_of_a_run(cluster: Cluster, landing: None, ada: Person) -> None:
    run = ada.launch(FLIGHTS, Environment.DEVELOPMENT, JULY)
    wait_until(lambda: ada.status(run) == "STARTED", 180)
    cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", "drls-dagster-0", *AT_ONCE)
    # The app needs no Dagster.
    ada.lifecycle.pipelines.save(versions.third(EXAMPLE, FLIGHTS), message="mean wind")
    cluster.kubectl("--namespace", NAMESPACE, "rollout", "status", "statefulset/drls-dagster", "--timeout=300s")
    assert ada.ended(run) == "FAILURE"
    # Whether the run still noticed its end depends on how its pod was taken away.
    assert ada.lifecycle.runs.explain(run).cause in {Cause.KILLED, Cause.ERROR}
    run_well(ada, Environment.DEVELOPMENT, JULY)


def test_a_request_is_opened_before_an_upgrade_and_approved_after_it(
    cluster: Cluster, release: Release, ada: Person, grace: Person
) -> None:
    ada.lifecycle.promotions.request(FLIGHTS, 2, Environment.QA)
    run_well(ada, Environment.QA)
    asked = ada.lifecycle.promotions.request(FLIGHTS, 2, Environment.UAT, reason="mean wind")
    before = _revision(cluster)
    release.upgrade("--set", "app.replicas=3,settings.engine.idle_minutes=20")
    assert _ready(cluster, "app") == 3
    (job,) = cluster.get("jobs")["items"]
    assert job["metadata"]["name"] == f"drls-migrate-{before + 1}"
    assert ada.lifecycle.promotions.show(asked.id).state is State.REQUESTED
    approved(grace, asked)
    run_well(ada, Environment.UAT)

    cluster.helm("rollback", "drls", str(before), "--wait", "--wait-for-jobs", "--timeout", "10m")
    wait_until(lambda: _ready(cluster, "app") == len(cluster.pods("app")) == 2, 180)
    approved(grace, ada.lifecycle.promotions.request(FLIGHTS, 2, Environment.PRODUCTION, reason="mean wind"))
    columns = ada.lifecycle.tables.query(f"SELECT mean_wind FROM {FLIGHTS}.daily_delays LIMIT 1").columns
    assert len(columns) == 1


def test_the_audit_log_is_whole(admin: Person) -> None:
    assert admin.lifecycle.audit.rows().findings == ()


def test_uninstalled_nothing_is_left_but_the_volume_and_the_teams_secrets(cluster: Cluster, release: Release) -> None:
    cluster.helm("uninstall", "drls", "--wait", "--timeout", "5m")
    wait_until(lambda: not cluster.get("pods")["items"], 120)
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    wanted = [one for one in kinds if not one.startswith(("events", "metrics"))]
    left = cluster.kubectl("--namespace", NAMESPACE, "get", ",".join(wanted), "--output=name").split()
    secrets = {"drls-database", "drls-admin", "drls-lake", "drls-signing-key", "drls-tls"}
    assert set(left) == {
        "configmap/kube-root-ca.crt",
        "serviceaccount/default",
        "persistentvolumeclaim/home-drls-dagster-0",
        *(f"secret/{name}" for name in secrets),
    }
