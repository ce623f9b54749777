"""Who reaches what in the cluster, tried by pods; and what no pod and no account of the release may do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lifecycle.domain.roles import Role
from tests.k8s.cluster import NAMESPACE, Cluster
from tests.k8s.given_secrets import HOST, POSTGRES, S3, Secrets
from tests.k8s.people import GRAPHQL, Door, Person
from tests.k8s.release import Release
from tests.waiting import wait_until

pytestmark = [pytest.mark.k8s, pytest.mark.timeout(3600)]
PARTS = ("app", "dagster", "migrate")
APP, DAGSTER = f"drls-app.{NAMESPACE}.svc.cluster.local", f"drls-dagster.{NAMESPACE}.svc.cluster.local"
API = "kubernetes.default.svc.cluster.local"
IN_APP, IN_DAGSTER = "deployment/drls-app", "statefulset/drls-dagster"
LAUNCH = """mutation { launchPipelineExecution(executionParams: {
  selector: {repositoryLocationName: "development", repositoryName: "__repository__", jobName: "flights_daily"},
  mode: "default" }) { __typename } }"""


@pytest.fixture(scope="module")
def stranger(cluster: Cluster, release: Release) -> Iterator[str]:
    """A pod of another namespace."""
    cluster.kubectl("create", "namespace", "stranger")
    image = "docker.io/library/drls-servers:tests"
    cluster.kubectl("--namespace", "stranger", "run", "stranger", f"--image={image}", "--", "sleep", "3600")
    cluster.kubectl("--namespace", "stranger", "wait", "--for=condition=Ready", "pod/stranger", "--timeout=120s")
    # A new pod's network is there when it reaches what nobody protects.
    wait_until(lambda: cluster.reaches("stranger", S3, 7070, namespace="stranger"))
    yield "stranger"
    cluster.kubectl("delete", "namespace", "stranger")


@pytest.mark.parametrize(
    ("pod", "address", "port", "open_to_it"),
    [
        (IN_APP, POSTGRES, 5432, True),
        (IN_APP, S3, 7070, True),
        (IN_APP, DAGSTER, 80, False),
        (IN_APP, API, 443, False),
        (IN_DAGSTER, POSTGRES, 5432, True),
        (IN_DAGSTER, S3, 7070, True),
        (IN_DAGSTER, APP, 80, False),
        (IN_DAGSTER, API, 443, False),
    ],
)
def test_a_part_reaches_the_databases_and_buckets_and_nothing_else(
    cluster: Cluster, release: Release, pod: str, address: str, port: int, open_to_it: bool
) -> None:
    assert cluster.reaches(pod, address, port) is open_to_it


def test_only_the_ingress_controller_reaches_the_doors(cluster: Cluster, release: Release, stranger: str) -> None:
    for door in (APP, DAGSTER):
        assert cluster.reaches("deployment/nginx", door, 80, namespace="ingress-nginx")
        assert not cluster.reaches(stranger, door, 80, namespace="stranger")


def test_no_account_of_the_release_may_ask_the_kubernetes_api_anything(cluster: Cluster, release: Release) -> None:
    """And an administrator may, so the question can be answered with yes."""
    for verb, kind in (("get", "secrets"), ("list", "pods"), ("create", "jobs"), ("create", "pods/exec"), ("*", "*")):
        asked = ("--namespace", NAMESPACE, "auth", "can-i", verb, kind)
        assert cluster.kubectl(*asked).strip() == "yes"
        for part in PARTS:
            account = f"--as=system:serviceaccount:{NAMESPACE}:drls-{part}"
            assert cluster.tried("kubectl", *asked, account).stdout.strip() == "no", f"{part} may {verb} {kind}"


def test_no_pod_has_a_token_of_the_kubernetes_api(cluster: Cluster, release: Release) -> None:
    for pod in (IN_APP, IN_DAGSTER):
        found = cluster.run(pod, "ls", "/var/run/secrets/kubernetes.io")
        assert "No such file" in found.stderr


def test_the_namespace_admits_restricted_pods_only(cluster: Cluster, release: Release) -> None:
    asked = ("--namespace", NAMESPACE, "run", "root", "--image=drls", "--dry-run=server")
    refused = cluster.tried("kubectl", *asked)
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_a_pod_writes_on_its_volumes_only(cluster: Cluster, release: Release) -> None:
    for pod in (IN_APP, IN_DAGSTER):
        assert cluster.run(pod, "id", "-u").stdout == "1000\n"
        assert "Read-only file system" in cluster.run(pod, "touch", "/opt/drls/x").stderr
        status = cluster.run(pod, "grep", "-E", "^(CapEff|NoNewPrivs|Seccomp):", "/proc/1/status").stdout.split()
        assert status == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]


def test_no_secret_is_in_a_log_a_manifest_or_a_setting(cluster: Cluster, given: Secrets, release: Release) -> None:
    shown = release.logs() + cluster.helm("get", "all", "drls")
    shown += cluster.kubectl("--namespace", NAMESPACE, "get", "configmaps,pods,jobs", "--output", "yaml")
    assert len(shown) > 10_000
    assert [one for one in given.values() if one in shown] == []


def test_strangers_viewers_and_foreign_pages_are_refused(door: Door, admin: Person) -> None:
    vic = door.newcomer(admin, "vic", Role.VIEWER)
    body = {"query": LAUNCH}
    browser = door.browser()
    for path in ("/api/environments", "/api/tables", "/dagster/server_info", f"{GRAPHQL}?query={{version}}", "/mcp"):
        assert browser.get(path).status_code in {401, 405}, path
    assert browser.post(GRAPHQL, json=body).status_code == 401
    assert browser.post(GRAPHQL, json=body, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert browser.get("/sign-in", headers={"Host": "elsewhere.example"}).status_code == 421

    refused = vic.dagster(LAUNCH)
    assert (refused.status_code, "needs the role DataEngineer" in refused.text) == (403, True)
    assert vic.dagster("{ version }").status_code == 200

    signed = browser.post("/api/session", json={"account": vic.name, "password": vic.password})
    assert signed.status_code == 200
    (session, *_) = (one for one in browser.cookies.jar if one.secure)
    assert session.has_nonstandard_attr("HttpOnly")
    own, foreign = {"Origin": f"https://{HOST}"}, {"Origin": "https://evil.example"}
    assert browser.post(GRAPHQL, json={"query": "{ version }"}, headers=own).status_code == 200
    assert browser.post(GRAPHQL, json={"query": "{ version }"}, headers=foreign).status_code == 403
    assert browser.post("/api/me/tokens", json={"name": "x", "scopes": ["read"]}, headers=foreign).status_code == 403
