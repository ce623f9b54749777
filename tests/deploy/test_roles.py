"""The roles of the image as processes, with what the chart gives their pods, on a real PostgreSQL."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.deploy.rendered import CHECKOUT, chart, named, pods
from tests.postgres_server import running_postgres
from tests.waiting import wait_until

pytestmark = pytest.mark.postgres
ROLE = CHECKOUT / "deploy" / "images" / "drls-role"
PASSWORD = "a quite long first password"
SECONDS = 240
ASKED = "/api/environments"
LOCATIONS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"


@dataclass
class Cluster:
    """What pods of a release share: mounted settings and secrets, and two databases."""

    given: Path
    homes: Path
    environment: dict[str, str]

    def pod(self, name: str) -> dict[str, str]:
        """The environment of a pod with a home of its own."""
        home = self.homes / name
        return {**self.environment, "DRLS_HOME": str(home / "home"), "HOME": str(home / "user")}

    def run(self, pod: str, *role: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROLE, *role], env={**self.pod(pod), **more}, input=given, capture_output=True, text=True, check=False,
            timeout=SECONDS,
        )  # fmt: skip

    @contextmanager
    def serving(self, pod: str, *role: str) -> Iterator[Path]:
        """A role that runs until the block ends, with what the chart says to this pod; its output."""
        log = self.homes / f"{pod}.log"
        with log.open("w") as out:
            environment = {**self.pod(pod), **said(f"drls-{pod}")}
            process = subprocess.Popen([ROLE, *role], env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield log
        finally:
            process.terminate()
            process.wait(SECONDS)


def said(pod: str) -> dict[str, str]:
    """The variables of a pod whose values are in the chart."""
    (container,) = dict(pods(chart()))[pod]["containers"]
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    given = folder / "etc"
    (given / "settings").mkdir(parents=True)
    lake = f"file://{folder}/lake"
    values = ("settings.catalog.warehouse", "settings.landing", "settings.engine.staging")
    settings = named(
        chart(
            *("--set", ",".join(f"{one}={lake}/{one}" for one in values)),
            # The catalog's own tests are elsewhere; here it is a file.
            *("--set", f"settings.catalog.uri=sqlite:///{folder}/catalog.db"),
            *("--set", "settings.catalog.properties=null,settings.catalog.secrets=null"),
        ),
        "ConfigMap",
        "drls-settings",
    )["data"]
    for name, text in settings.items():
        (given / "settings" / name).write_text(text)
    (given / "keys").mkdir()
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", given / "keys" / "signing-key.pem"], check=True
    )
    (given / "admin").mkdir()
    (given / "admin" / "password").write_text(PASSWORD)
    with running_postgres() as server:
        lifecycle, dagster = server.fresh_database(), server.fresh_database()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DRLS_")}
        environment |= {
            "DRLS_GIVEN": str(given),
            "DRLS_LIFECYCLE__URL": lifecycle,
            "DRLS_DAGSTER_URL": dagster,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
        }
        yield Cluster(given, folder, environment)


@pytest.fixture(scope="module")
def migrated(cluster: Cluster) -> Cluster:
    waiting = cluster.run("early", "wait", "0")
    assert waiting.returncode == 1, "pods do not wait for the migration"
    assert "no lifecycle yet" in waiting.stderr
    done = cluster.run("migrate", "migrate")
    assert done.returncode == 0, done.stderr
    assert "Password of admin set" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    return cluster


def test_the_migration_can_be_repeated_and_ends_the_waiting(migrated: Cluster) -> None:
    again = migrated.run("migrate-2", "migrate")
    assert again.returncode == 0, again.stderr
    assert "is already up to date" in again.stdout
    assert "Password" not in again.stdout
    assert migrated.run("waiting", "wait", "0").returncode == 0


def test_a_role_that_does_not_exist_is_refused(cluster: Cluster) -> None:
    refused = cluster.run("other", "daemon")
    assert (refused.returncode, refused.stderr) == (
        2,
        "drls-role: daemon is no role; use up, app, migrate, wait or drls\n",
    )


def test_both_doors_are_one_installation(migrated: Cluster) -> None:
    app, up = _free_port(), _free_port()
    with (
        migrated.serving("app", "app", "--port", str(app), "--workers", "1") as app_log,
        migrated.serving("dagster", "up", "--port", str(up)) as up_log,
    ):
        wait_until(lambda: _health(app) == 200, SECONDS)
        wait_until(lambda: "up in " in up_log.read_text(), SECONDS)
        name = {"Host": "drls.example.org"}
        at_app = httpx.Client(base_url=f"http://127.0.0.1:{app}", headers=name, timeout=SECONDS)
        at_up = httpx.Client(base_url=f"http://127.0.0.1:{up}", headers=name, timeout=SECONDS)
        with at_app, at_up:
            for door, path in ((at_app, ASKED), (at_up, ASKED), (at_up, "/dagster/graphql?query={version}")):
                assert door.get(path).status_code == 401, path
            assert at_app.get("/sign-in", headers={"Host": "elsewhere.example"}).status_code == 421
            # A session of one door opens the other, and its pages lead there.
            entered = at_app.post("/sign-in", data={"account": "admin", "password": PASSWORD})
            assert entered.status_code == 303
            session = {"Cookie": "; ".join(f"{one.name}={one.value}" for one in at_app.cookies.jar)}
            assert 'href="/dagster"' in at_app.get("/", headers=session).text
            assert at_up.get("/dagster/server_info", headers=session).status_code == 200
            # So does a token.
            login = ("drls", "login", "admin")
            signed_in = migrated.run("admin", *login, given=f"{PASSWORD}\n", DRLS_URL=str(at_app.base_url).rstrip("/"))
            assert signed_in.returncode == 0, signed_in.stderr
            kept = (migrated.homes / "admin" / "home").glob("secret-*")
            (token,) = (file.read_text().strip() for file in kept if file.suffix != ".store")
            admin = {"Authorization": f"Bearer {token}"}
            for door in (at_app, at_up):
                assert door.get(ASKED, headers=admin).status_code == 200
            locations = at_up.post("/dagster/graphql", headers=admin, json={"query": LOCATIONS}).json()
            found = locations["data"]["repositoriesOrError"]["nodes"]
            assert {one["location"]["name"] for one in found} == {"development", "qa", "uat", "production"}
        for secret in (PASSWORD, token, "#"):
            assert secret not in app_log.read_text() + up_log.read_text(), "a log shows what opens a door"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _health(port: int) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=SECONDS).status_code
    except httpx.TransportError:
        return 0
