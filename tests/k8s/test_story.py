"""The way of a pipeline to production on a cluster: everything through the ingress, on real pods."""

from __future__ import annotations

import pytest

from drls_dagster.demo import versions
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.errors import Forbidden
from tests.k8s.cluster import Cluster
from tests.k8s.people import Person
from tests.k8s.release import Release
from tests.k8s.story import EXAMPLE, FLIGHTS, JUNE, approved, run_well

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(3600)]
QUORUM = Policy(quorum="1 LeadDataEngineer")


def test_helm_test_passes(cluster: Cluster, release: Release) -> None:
    assert "Phase:          Succeeded" in cluster.helm("test", "drls", "--logs")


def test_the_app_has_two_pods_and_dagster_one(cluster: Cluster, release: Release) -> None:
    assert len(cluster.pods("app")) == 2
    assert len(cluster.pods("dagster")) == 1


def test_a_version_goes_from_a_file_to_production(landing: None, admin: Person, ada: Person, grace: Person) -> None:
    ada.lifecycle.pipelines.save(versions.first(EXAMPLE, FLIGHTS), message="delays per day")
    for environment in (Environment.UAT, Environment.PRODUCTION):
        admin.lifecycle.environments.set_policy(environment, FLIGHTS, QUORUM)
    run_well(ada, Environment.DEVELOPMENT)
    assert ada.tried_to_launch(FLIGHTS, Environment.PRODUCTION, JUNE)["__typename"] != "LaunchRunSuccess"

    ada.lifecycle.promotions.request(FLIGHTS, 1, Environment.QA)
    run_well(ada, Environment.QA)

    asked = ada.lifecycle.promotions.request(FLIGHTS, 1, Environment.UAT, reason="first season")
    with pytest.raises(Forbidden, match="contributed to what"):
        ada.lifecycle.promotions.approve(asked.id, asked.plan_digest)
    approved(grace, asked)
    run_well(ada, Environment.UAT)

    approved(grace, ada.lifecycle.promotions.request(FLIGHTS, 1, Environment.PRODUCTION, reason="first season"))
    rows = ada.lifecycle.tables.query(f"SELECT count(*) AS days FROM {FLIGHTS}.daily_delays").rows
    assert [tuple(row) for row in rows] == [(90,)]
