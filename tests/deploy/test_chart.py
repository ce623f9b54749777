"""What the chart and the overlays ask of Kubernetes: nothing but what `restricted` admits, and no secret in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from drls_dagster.orchestrator.dagster_yaml import missing_gate
from drls_dagster.settings import load_settings
from tests.deploy.rendered import (
    CHART,
    CHECKOUT,
    KUSTOMIZE,
    Thing,
    chart,
    containers,
    helm,
    kustomized,
    named,
    pods,
    refusal,
)

FORMS = ("chart", "production", "local")
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
# What is said in a manifest for everybody to read.
SAID = {"DRLS_WEB__DAGSTER_BESIDE": "true"}


@pytest.fixture(scope="module", params=FORMS)
def things(request: pytest.FixtureRequest) -> list[Thing]:
    return chart() if request.param == "chart" else kustomized(KUSTOMIZE / "overlays" / request.param)


def breaches(pod: Mapping[str, object]) -> list[str]:
    """What of a pod the Pod Security Standard `restricted` refuses (Kubernetes 1.34), in words."""
    security = pod.get("securityContext") or {}
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    found += [f"volume {one['name']}" for one in pod.get("volumes", []) if not VOLUMES & one.keys()]
    for one in containers(pod):
        own = one.get("securityContext") or {}
        capabilities = own.get("capabilities") or {}
        wanted = {
            "runAsNonRoot": own.get("runAsNonRoot", security.get("runAsNonRoot")) is True,
            "runAsUser": own.get("runAsUser", security.get("runAsUser")) != 0,
            "seccompProfile": (own.get("seccompProfile") or security.get("seccompProfile") or {}).get("type")
            in ("RuntimeDefault", "Localhost"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": capabilities.get("drop") == ["ALL"] and not capabilities.get("add"),
            "privileged": not own.get("privileged"),
            "hostPort": not any("hostPort" in port for port in one.get("ports", [])),
        }
        found += [f"{one['name']}: {name}" for name, is_so in wanted.items() if not is_so]
    return found


def test_the_chart_lints() -> None:
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_pod_is_restricted_and_writes_on_its_volumes_only(things: list[Thing]) -> None:
    for name, pod in pods(things):
        assert breaches(pod) == [], name
        assert pod["automountServiceAccountToken"] is False, f"{name} gets a token of the Kubernetes API"
        for one in containers(pod):
            assert one["securityContext"]["readOnlyRootFilesystem"] is True, f"{name}: {one['name']}"
            assert {"cpu", "memory"} <= one["resources"]["requests"].keys(), f"{name}: {one['name']}"
            assert "memory" in one["resources"]["limits"], f"{name}: {one['name']}"
            assert re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", one["image"]), one["image"]


@pytest.mark.parametrize("change", [{"hostNetwork": True}, {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}])
def test_the_check_of_restricted_can_fail(change: Mapping[str, object]) -> None:
    _, pod = next(pods(chart()))
    assert breaches({**pod, **change})
    assert breaches({**pod, "securityContext": {}})


def test_secrets_are_references(things: list[Thing]) -> None:
    assert not [one for one in things if one["kind"] == "Secret"]
    for name, pod in pods(things):
        for container in containers(pod):
            for one in container.get("env", []):
                where = f"{name}: {container['name']}: {one['name']}"
                assert "secretKeyRef" in one.get("valueFrom", {}) or SAID.get(one["name"]) == one["value"], where


def test_the_databases_reach_nobody_but_the_platform() -> None:
    """The helm test holds no secret, and the migration no catalog."""
    found = {
        name: {env["name"] for one in containers(pod) for env in one.get("env", [])} for name, pod in pods(chart())
    }
    assert found["drls-test"] == set()
    assert found["drls-migrate-1"] == {"DRLS_LIFECYCLE__URL", "DRLS_DAGSTER_URL"}
    assert {"LAKE_PASSWORD", "LAKE_S3_SECRET"} <= found["drls-app"] & found["drls-dagster"]


@pytest.mark.parametrize(
    ("setting", "named_in_it"),
    [
        ("settings.lifecycle.url=postgresql://drls:secret@db/drls", "/settings"),
        ("settings.catalog.uri=postgresql://drls:secret@db/drls", "/settings/catalog/uri"),
        ("settings.catalog.secrets.password=secret", "/settings/catalog/secrets/password"),
        ("settings.web.port=80", "/settings/web"),
        ("settings.metrics.token=0123456789abcdef", "/settings/metrics/token"),
        ("secrets.database.value=secret", "/secrets/database"),
        ("secrets.environment[0].value=secret", "/secrets/environment/0"),
        ("image.tag=latest", "/image/tag"),
        ("app.replicas=0", "/app/replicas"),
        ("replicas=3", "replicas"),
        ("ingress.tlsSecret=", "/ingress/tlsSecret"),
        ("host=https://drls.example.org", "/host"),
    ],
)
def test_values_that_would_do_harm_are_refused(setting: str, named_in_it: str) -> None:
    assert named_in_it in refusal("--set", setting)


def test_the_metrics_of_the_page_have_their_token_from_a_secret_and_prometheus_gets_in(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs/how-to/kubernetes.md").read_text()
    (shown,) = (one for one in re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "METRICS" in one)
    (tmp_path / "values.yaml").write_text(shown)
    things = chart("--values", tmp_path / "values.yaml")
    for name in ("drls-app", "drls-dagster"):
        (pod,) = (pod for where, pod in pods(things) if where.endswith(name))
        variables = {one["name"]: one for main in pod["containers"] for one in main["env"]}
        assert variables["METRICS_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "drls-metrics", "key": "token"}
    doors = named(things, "NetworkPolicy", "drls-doors")
    assert "monitoring" in str(doors["spec"]["ingress"])


@pytest.mark.parametrize("form", FORMS)
def test_drls_accepts_the_settings_and_the_gate_is_in_dagster(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = chart("--set", "host=data.example.com") if form == "chart" else kustomized(KUSTOMIZE / "overlays" / form)
    for name, text in named(rendered, "ConfigMap", "drls-settings")["data"].items():
        (tmp_path / name).write_text(text)
    settings = load_settings(tmp_path)
    if form == "chart":
        assert settings.web.hosts == ("data.example.com",)
        assert settings.app_url == "https://data.example.com"
    assert missing_gate(tmp_path / "dagster.yaml") == []
    # Mounted where the role looks for them.
    assert "take settings/drls.toml drls.toml" in (CHECKOUT / "deploy/images/drls-role").read_text()


def _selects(selector: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {})
    among = selector.get("matchExpressions", [])
    return wanted.items() <= labels.items() and all(labels.get(one["key"]) in one["values"] for one in among)


def _labels(things: list[Thing]) -> dict[str, Mapping[str, str]]:
    return {
        one["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""): (
            one["metadata"]["labels"] if one["kind"] == "Pod" else one["spec"]["template"]["metadata"]["labels"]
        )
        for one in things
        if one["kind"] == "Pod" or "template" in one.get("spec", {})
    }


def test_services_and_policies_select_who_they_are_for() -> None:
    things = chart()
    labels = _labels(things)
    assert set(labels) == {"app", "dagster", "migrate", "test"}
    for part in ("app", "dagster"):
        selector = {"matchLabels": named(things, "Service", f"drls-{part}")["spec"]["selector"]}
        assert [one for one, own in labels.items() if _selects(selector, own)] == [part]

    def under(policy: str) -> set[str]:
        spec = named(things, "NetworkPolicy", f"drls-{policy}")["spec"]
        return {one for one, own in labels.items() if _selects(spec["podSelector"], own)}

    assert under("nothing") == {"app", "dagster", "migrate", "test"}
    assert under("doors") == {"app", "dagster"}
    assert under("databases") == {"app", "dagster", "migrate"}
    assert under("outside") == {"app", "dagster"}
    nothing = named(things, "NetworkPolicy", "drls-nothing")["spec"]
    assert (nothing["policyTypes"], nothing.get("ingress"), nothing.get("egress")) == (
        ["Ingress", "Egress"],
        None,
        None,
    )
    (doors,) = named(things, "NetworkPolicy", "drls-doors")["spec"]["ingress"]
    assert len(doors["from"]) == 2, "an empty list of peers would be everybody"


def test_dagster_is_one_pod_and_the_app_survives_an_eviction() -> None:
    things = chart()
    assert named(things, "StatefulSet", "drls-dagster")["spec"]["replicas"] == 1
    assert named(things, "Deployment", "drls-app")["spec"]["replicas"] >= 2
    assert named(things, "PodDisruptionBudget", "drls-app")["spec"]["maxUnavailable"] == 1


def test_the_ingress_has_tls_and_sends_each_path_to_its_door() -> None:
    spec = named(chart(), "Ingress", "drls")["spec"]
    assert [one["secretName"] for one in spec["tls"]] == ["drls-tls"]
    (rule,) = spec["rules"]
    ways = {one["path"]: one["backend"]["service"]["name"] for one in rule["http"]["paths"]}
    assert ways == {
        "/dagster": "drls-dagster",
        "/mcp": "drls-dagster",
        "/.well-known/oauth-protected-resource": "drls-dagster",
        "/": "drls-app",
    }


def test_new_settings_start_new_pods() -> None:
    def sums(*options: str) -> set[str]:
        found = (one for one in chart(*options) if one["kind"] in ("Deployment", "StatefulSet"))
        return {one["spec"]["template"]["metadata"]["annotations"]["checksum/settings"] for one in found}

    assert len(sums()) == 1
    assert sums() != sums("--set", "settings.landing=s3://other/landing")


def test_the_kustomize_base_is_the_chart() -> None:
    done = subprocess.run(
        [CHECKOUT / "scripts" / "kustomize.sh"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == (KUSTOMIZE / "base" / "drls.yaml").read_text(), "run: make kustomize"


def test_the_overlay_for_production_is_the_chart_with_its_values() -> None:
    overlay = kustomized(KUSTOMIZE / "overlays" / "production")
    rendered = chart(
        "--skip-tests", "--set", "app.replicas=3,image.repository=registry.example.org/drls,image.tag=0.1.0"
    )
    assert {(one["kind"], one["metadata"]["name"].removesuffix("-1")) for one in rendered} == {
        (one["kind"], one["metadata"]["name"]) for one in overlay if one["kind"] != "Namespace"
    }
    of_chart, of_overlay = dict(pods(rendered)), dict(pods(overlay))
    for name, pod in of_chart.items():
        assert of_overlay[name.removesuffix("-1")] == pod, name
    for kind, name in (("Ingress", "drls"), ("NetworkPolicy", "drls-doors"), ("Deployment", "drls-app")):
        mine, theirs = named(overlay, kind, name)["spec"], named(rendered, kind, name)["spec"]
        assert mine.keys() == theirs.keys()
        assert mine.get("replicas") == theirs.get("replicas")
        assert mine.get("rules") == theirs.get("rules")


def test_the_namespace_of_an_overlay_admits_restricted_pods_only() -> None:
    for form in ("production", "local"):
        namespace = named(kustomized(KUSTOMIZE / "overlays" / form), "Namespace", "drls")
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
