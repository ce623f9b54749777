"""One node for all tests of this folder, and what a team has besides DRLS: PostgreSQL, S3, an ingress controller."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from drls_dagster.cli.demo_data import lay_out
from lifecycle.domain.roles import Role
from tests.k8s import given_secrets
from tests.k8s.cluster import NAMESPACE, NODE, Cluster, cache, running_node
from tests.k8s.given_secrets import Secrets
from tests.k8s.people import Door, Person
from tests.k8s.release import Release, image
from tests.k8s.story import FLIGHTS

SERVERS = NODE.parent / "servers" / "servers.yaml"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    can = subprocess.run([NODE / "preflight.sh"], capture_output=True, text=True, check=False, timeout=60)
    if can.returncode:
        pytest.skip(can.stderr.strip())
    # To work on these tests: a node that somebody keeps with node/up.sh, and what is installed on it.
    if os.environ.get("K8S_NODE") == "kept":
        yield Cluster.of(cache())
        return
    with running_node() as node:
        yield node


@pytest.fixture(scope="session")
def given(cluster: Cluster) -> Secrets:
    """PostgreSQL with three databases, S3 with a bucket, and the Secrets of the release in a namespace for it."""
    folder = cluster.config.parents[1] / "secrets"
    if folder.exists():
        return Secrets(folder)
    made = given_secrets.make(folder)
    cluster.kubectl("create", "namespace", "outside")
    cluster.kubectl("create", "namespace", "ingress-nginx")
    given_secrets.outside(cluster, made)
    cluster.kubectl("apply", "--filename", SERVERS)
    cluster.kubectl(
        "--namespace", "outside", "rollout", "status", "deployment/postgres", "deployment/s3", "--timeout=180s"
    )
    for name in ("drls", "dagster", "lake"):
        cluster.psql(f"CREATE DATABASE {name}")
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    given_secrets.of_release(cluster, made)
    return made


@pytest.fixture(scope="session")
def release(cluster: Cluster, given: Secrets) -> Release:
    """The chart, installed and ready."""
    made = Release(cluster, image())
    if not made.is_there():
        made.install()
    return made


@pytest.fixture(scope="session")
def door(given: Secrets, release: Release) -> Iterator[Door]:
    opened = Door(given.certificate)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def landing(cluster: Cluster, given: Secrets, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The example's files in the bucket."""
    folder = tmp_path_factory.mktemp("landing")
    lay_out(folder)
    pod = cluster.get("pods", namespace="outside", app="s3")["items"][0]["metadata"]["name"]
    cluster.kubectl("--namespace", "outside", "exec", pod, "--", "mkdir", "-p", "/data/lake/landing")
    cluster.kubectl("--namespace", "outside", "cp", folder / "flights", f"{pod}:/data/lake/landing/flights")


@pytest.fixture(scope="session")
def admin(door: Door, given: Secrets) -> Person:
    return door.person("admin", given.first)


@pytest.fixture(scope="session")
def ada(door: Door, admin: Person) -> Person:
    return door.newcomer(admin, "ada", Role.LEAD, FLIGHTS)


@pytest.fixture(scope="session")
def grace(door: Door, admin: Person) -> Person:
    return door.newcomer(admin, "grace", Role.LEAD, FLIGHTS)
