"""The way of a pipeline to production on a cluster: everything through the ingress, on real pods."""

from __future__ import annotations

import secrets

import pytest

from drls_dagster.cli.demo_data import lay_out
from drls_dagster.demo import versions
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden
from lifecycle.verbs.answers import Request
from tests.deploy.rendered import CHECKOUT
from tests.k8s.cluster import Cluster
from tests.k8s.people import Door, Person
from tests.k8s.release import Release
from tests.k8s.secrets import Secrets
from tests.waiting import wait_until

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(3600)]
EXAMPLE = CHECKOUT / "examples" / "flights" / "flights_daily.yaml"
FLIGHTS, JUNE = f"flights_{secrets.token_hex(3)}", "2013-06-01"


@pytest.fixture(scope="module")
def landing(cluster: Cluster, given: Secrets, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The example's files in the bucket."""
    folder = tmp_path_factory.mktemp("landing")
    lay_out(folder)
    pod = cluster.get("pods", namespace="outside", app="s3")["items"][0]["metadata"]["name"]
    cluster.kubectl("--namespace", "outside", "exec", pod, "--", "mkdir", "-p", "/data/lake/landing")
    cluster.kubectl("--namespace", "outside", "cp", folder / "flights", f"{pod}:/data/lake/landing/flights")


@pytest.fixture(scope="module")
def admin(door: Door, given: Secrets) -> Person:
    return door.person("admin", given.first)


@pytest.fixture(scope="module")
def ada(door: Door, admin: Person) -> Person:
    return door.newcomer(admin, "ada", Role.LEAD, FLIGHTS)


@pytest.fixture(scope="module")
def grace(door: Door, admin: Person) -> Person:
    return door.newcomer(admin, "grace", Role.LEAD, FLIGHTS)


def test_helm_test_passes(cluster: Cluster, release: Release) -> None:
    assert "Phase:          Succeeded" in cluster.helm("test", "drls", "--logs")


def test_the_app_has_two_pods_and_every_pod_is_restricted(cluster: Cluster, release: Release) -> None:
    assert len(cluster.pods("app")) == 2
    assert len(cluster.pods("dagster")) == 1


def test_a_version_goes_from_a_file_to_production(
    cluster: Cluster, release: Release, landing: None, admin: Person, ada: Person, grace: Person
) -> None:
    ada.lifecycle.pipelines.save(versions.first(EXAMPLE, FLIGHTS), message="delays per day")
    admin.lifecycle.environments.set_policy(Environment.UAT, FLIGHTS, Policy(quorum="1 LeadDataEngineer"))
    admin.lifecycle.environments.set_policy(Environment.PRODUCTION, FLIGHTS, Policy(quorum="1 LeadDataEngineer"))
    assert ada.ended(ada.launch(FLIGHTS, Environment.DEVELOPMENT, JUNE)) == "SUCCESS"

    ada.lifecycle.promotions.request(FLIGHTS, 1, Environment.QA)
    assert ada.ended(ada.launch(FLIGHTS, Environment.QA, JUNE)) == "SUCCESS"

    asked = ada.lifecycle.promotions.request(FLIGHTS, 1, Environment.UAT, reason="first season")
    with pytest.raises(Forbidden):
        ada.lifecycle.promotions.approve(asked.id, asked.plan_digest)
    _approved(grace, asked)
    assert ada.ended(ada.launch(FLIGHTS, Environment.UAT, JUNE)) == "SUCCESS"

    asked = ada.lifecycle.promotions.request(FLIGHTS, 1, Environment.PRODUCTION, reason="first season")
    _approved(grace, asked)
    rows = ada.lifecycle.tables.query(f"SELECT count(*) AS days FROM {FLIGHTS}.daily_delays").rows
    assert rows == ((90,),)


def _approved(grace: Person, asked: Request) -> None:
    grace.lifecycle.promotions.approve(asked.id, asked.plan_digest)
    wait_until(lambda: grace.lifecycle.promotions.show(asked.id).state is State.DONE, 180)
