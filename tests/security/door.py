"""The door of `drls up` before Dagster's real web server, with pipelines in a code location, people and their grants."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import yaml
from starlette.testclient import TestClient

from drls_dagster import settings
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.private_home import make_private
from drls_dagster.settings import Settings, load_settings
from drls_dagster.up.web.app import make_app
from lifecycle.audit import load_signing_key
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label
from lifecycle.ports import SystemClock
from lifecycle.spec import canonical_json
from lifecycle.store.store import Store
from lifecycle.usecases.parts.activation import activate
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from lifecycle.usecases.tokens import issue
from tests.drls_dagster.gate.town import make_spec
from tests.lifecycle.life import SETUP, Life

HAND_MADE = Path(__file__).parents[1] / "drls_dagster" / "gate" / "hand_made.py"
GRAPHQL = "/dagster/graphql"
OWN = "token-of-this-homes-own-processes"
MINE, THEIRS = "mine", "theirs"
LOCATION = "production"
LAUNCH = """mutation Launch($p: ExecutionParams!) { launchRun(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
# Name: (role, scope, value)
GRANTS: dict[str, list[tuple[Role, ScopeKind, str]]] = {
    "nora": [(Role.DATA_ENGINEER, ScopeKind.PIPELINE, MINE)],
    "wilma": [(Role.VIEWER, ScopeKind.EVERYTHING, ""), (Role.DATA_ENGINEER, ScopeKind.PIPELINE, MINE)],
    "vera": [(Role.VIEWER, ScopeKind.PIPELINE, MINE)],
    "lena": [(Role.VIEWER, ScopeKind.EVERYTHING, ""), (Role.LEAD, ScopeKind.PIPELINE, MINE)],
}


class Door:
    """What comes out of a request of somebody, and what it left."""

    def __init__(self, client: TestClient, life: Life, instance: dg.DagsterInstance, home: Path) -> None:
        self.client, self.life, self.instance, self.home = client, life, instance, home
        self._tokens: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """Where its home and the files of its code location are."""
        files = self.home.with_name("files")
        return {"DRLS_HOME": str(self.home), "DAGSTER_HOME": str(self.home / "dagster"), "HAND_MADE": str(files)}

    def token(self, name: str, scopes: tuple[TokenScope, ...] = tuple(TokenScope)) -> str:
        key = f"{name}{scopes}"
        if key not in self._tokens:
            with self.life.store.write(SETUP, "setup") as unit:
                who = unit.people.get(self.life.person(name))
                made = issue(unit, who, TokenKind.PERSONAL, "test", scopes=scopes, life=timedelta(days=1))
            self._tokens[key] = made.secret
        return self._tokens[key]

    def post(self, name: str, query: str, variables: Any = None, **more: Any) -> httpx.Response:
        sent = {"query": query, **({"variables": variables} if variables is not None else {}), **more}
        return self.client.post(GRAPHQL, json=sent, headers=self.bearer(name))

    def bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {OWN if name == 'own' else self.token(name)}"}

    def launch(self, name: str, job: str, *, tags: dict[str, str] | None = None, **selector: Any) -> httpx.Response:
        return self.post(name, LAUNCH, {"p": params(job, tags=tags, **selector)})

    def run_of(self, answer: httpx.Response) -> dg.DagsterRun:
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()["data"].values()
        assert "run" in found, found
        run = self.instance.get_run_by_id(found["run"]["runId"])
        assert run is not None
        return run

    def admitted_by(self, run_id: str, pipeline: str) -> int | None:
        with self.life.store.read() as view:
            admission = view.runs.admission(run_id, view.pipelines.named(pipeline).id)
        assert admission is not None
        return admission.admitted_by

    def audited(self, verb: str) -> list[dict[str, Any]]:
        """Bodies of the entries with this verb, the newest last."""
        with self.life.store.engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT body, actor FROM audit WHERE verb = ? ORDER BY sequence", (verb,)
            ).all()
        return [{**json.loads(body), "by": json.loads(actor)["name"]} for body, actor in rows]


def params(job: str, *, tags: dict[str, str] | None = None, **selector: Any) -> dict[str, Any]:
    given = {"dagster/partition": "north", **(tags or {})}
    return {
        "selector": {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "pipelineName": job,
            **selector,
        },
        "runConfigData": {},
        "mode": "default",
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in given.items()]},
    }


@contextmanager
def open_door(folder: Path, **options: Any) -> Iterator[Door]:
    """The whole app of `drls up` in this process, its code location in a server of its own.

    The environment that it was opened in is the door's own, and around it as before.
    """
    home, files = folder / "home", folder / "files"
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DRLS_HOME", str(home))
            patch.setenv("HAND_MADE", str(files))
            settings._load.cache_clear()
            found = load_settings(home)
            patch.setenv("DAGSTER_HOME", "")  # which this sets
            dagster_home(found)
            life = stack.enter_context(_life(found, files))
            door = stack.enter_context(_served(life, folder, **options))
        settings._load.cache_clear()
        yield door


@contextmanager
def _life(found: Settings, files: Path) -> Iterator[Life]:
    make_private(found.home)
    store = Store.create(store_url(found), load_signing_key(signing_key_file(found)), SystemClock())
    life = Life(store, found.home, SystemClock())  # pyright: ignore[reportArgumentType]
    for name, grants in GRANTS.items():
        life.add_person(name, None)
        with store.write(SETUP, "setup") as unit:
            for role, scope, value in grants:
                unit.people.add_grant(
                    person_id=life.person(name), team_id=None, role=role.value, scope=scope.value, scope_value=value,
                    granted_by=None, revoked_at=None,
                )  # fmt: skip
            unit.audit("grants.added", f"person:{name}")
    with store.write(SETUP, "setup") as unit:
        rotate_secret(unit)
    files.mkdir()
    for name in (MINE, THEIRS):
        spec = make_spec(name)
        life.save(spec, by="adam")
        with store.write(SETUP, "setup") as unit:
            pipeline = unit.pipelines.named(name)
            version = unit.pipelines.numbered(pipeline, 1)
            activate(unit, pipeline, version, Environment.PRODUCTION, reason="promote", label=Label.APPROVED)
        said = {"environment": LOCATION, "spec": canonical_json(spec).decode()}
        (files / f"{name}.json").write_text(json.dumps(said))
    yield life
    store.close()


@contextmanager
def _served(life: Life, folder: Path, **options: Any) -> Iterator[Door]:
    workspace = folder / "workspace.yaml"
    target = {
        "relative_path": str(HAND_MADE),
        "attribute": "defs",
        "working_directory": str(HAND_MADE.parents[3]),
        "location_name": LOCATION,
    }
    workspace.write_text(yaml.safe_dump({"load_from": [{"python_file": target}]}))
    app: Any = make_app(life.ctx, token=OWN, workspace_file=workspace, **options)
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        deadline = time.monotonic() + 120
        while not app._workspace.is_ready:
            assert time.monotonic() < deadline, "Dagster's workspace did not load"
            app._workspace._closing.wait(0.1)
        process = app._workspace._workspace
        repository = process.create_request_context().get_code_location(LOCATION).get_repository("__repository__")
        for schedule in repository.get_schedules():
            process.instance.stop_schedule(schedule.get_remote_origin().get_id(), schedule.selector_id, schedule)
        try:
            yield Door(client, life, process.instance, folder / "home")
        finally:
            process.__exit__(None, None, None)
            process._grpc_server_registry.wait_for_processes()
            process.instance.dispose()
