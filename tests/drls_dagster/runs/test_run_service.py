"""The run service: what a run may ask of the platform, and that it is for that run alone."""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from drls_dagster.connections.settings import ConnectionSettings
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import CatalogFailed, load_catalog
from drls_dagster.ledger import RunTakenForDead, open_ledger, place_of, this_worker
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.door import RunsDoor
from drls_dagster.runs.opening import direct
from drls_dagster.runs.operations.table import OPERATIONS
from drls_dagster.runs.part import Part
from drls_dagster.runs.problems import problem_of, raised
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.service import RunService
from drls_dagster.runs.table_words import Candidate
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.run import CheckResult, Work
from lifecycle.errors import Conflict, Forbidden, Invalid, StoreError, Unauthorized, Unavailable
from lifecycle.spec import JdbcSource
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.save_version import save_version
from tests.drls_dagster.runs.conftest import HERE, World, listening_at
from tests.lifecycle.life import make_spec
from tests.waiting import wait_until

CHECKED = Work(checks=(CheckResult(node="checks0", check="some", passed=True),))


def head(world: World) -> int:
    found = refs.head(load_catalog(world.settings).load_table(world.table), "main")
    assert found is not None
    return found


def written(world: World, client: RunClient) -> Candidate:
    """A row on a branch of the run, to be published."""
    branch, name = f"drls_run_{world.run[:8]}_{uuid.uuid4().hex[:8]}", ".".join(world.table)
    client.open_branch(world.execution, this_worker(place_of(world.settings)), name, branch, "session", "engine")
    catalog = RunCatalog("lake", client)
    refs.create_branch(catalog, catalog.load_table(world.table), branch, head(world))
    table = load_catalog(world.settings).load_table(world.table)
    table.append(pa.table({"id": [2]}), branch=branch)
    snapshot = refs.head(table, branch)
    assert snapshot is not None
    return Candidate(
        step="sink0", partition="", table=f"{world.name}.daily", branch=branch, base=head(world), snapshot=snapshot,
        rebuilt_as=None, work=CHECKED.model_copy(update={"table_uuid": str(table.metadata.table_uuid)}),
    )  # fmt: skip


def test_every_operation_is_a_method_of_the_client_with_what_it_takes_and_answers() -> None:
    for name, one in OPERATIONS.items():
        assert inspect.getattr_static(RunClient, name) is one
        assert one.takes.model_json_schema()["additionalProperties"] is False
        assert one.answer is not None
        assert one.__doc__


def test_l11_a_run_publishes_through_the_service_and_its_person_is_in_the_audit_log(world: World) -> None:
    client = world.begun()
    assert client.ask_again().allowed
    candidate = written(world, client)
    answer = client.publish(world.execution, candidate)
    assert client.publish(world.execution, candidate) == answer, "an answer that was lost is asked for again"
    assert head(world) == candidate.snapshot
    with world.ctx.store.read() as view:
        (receipt,) = view.runs.receipts_on(candidate.table, HERE)
    assert (receipt.run_id, receipt.snapshot) == (world.run, candidate.snapshot)
    client.confirm("sink0", "", f"{world.name}.daily", head(world))
    client.finish()
    with world.ctx.store.read() as view:
        entries = view.log.search(subject=f"run:{world.run}", limit=50)
    acting = {entry.verb: entry.actor for entry in entries}
    assert acting.keys() >= {"admission.granted", "admission.started", "permit.granted", "admission.finished"}
    assert {actor["person"] for actor in acting.values()} == {world.person.person}
    assert {actor["part"] for actor in acting.values()} == {"gate", "step"}
    assert {actor["way_in"] for actor in acting.values()} == {"dagster"}


def test_a_run_asks_for_nothing_of_another_run(world: World) -> None:
    client = world.begun()
    other = world.client(world.token(world.other))
    worker = this_worker(place_of(world.settings))
    other.execute(f"{world.other}-0", worker)
    candidate = written(world, client)
    branch, own = candidate.branch, RunCatalog("lake", other)
    other.admit({})
    table_uuid = str(candidate.work.table_uuid)
    asked: list[Callable[[], Any]] = [
        lambda: other.publish(world.execution, candidate),
        lambda: refs.drop_branch(own, own.load_table(world.table), branch),
        lambda: other.beat(world.execution),
        lambda: other.leave(world.execution),
        lambda: other.require_alive(world.execution),
        lambda: other.open_branch(world.execution, worker, ".".join(world.table), "x", "session", "engine"),
        lambda: other.open_branch(f"{world.other}-0", worker, "others.table", "x", "session", "engine"),
        lambda: other.open_branch(f"{world.other}-0", worker, f"{world.name}.daily", "x", "session", "engine"),
        lambda: other.close_branch(".".join(world.table), branch),
        lambda: other.keep_branch(".".join(world.table), branch),
        lambda: other.debris("others.table", place_of(world.settings)),
        lambda: other.publishes("others.table", table_uuid),
        lambda: other.publishes(f"{world.name}.daily", "another table"),
        lambda: other.tries("others.table", ["a"], ["a"]),
        lambda: other.written("others.table", None, 1),
        lambda: other.code({"sha256:0"}),
    ]
    for one in asked:
        with pytest.raises(Forbidden):
            one()
    with pytest.raises(GateRefused, match="has not started"):
        other.publish(f"{world.other}-0", candidate)
    name = ".".join(world.table)
    assert [one.branch for one in open_ledger(world.settings).branches(name)] == [branch]
    assert refs.head(own.load_table(world.table), branch) == candidate.snapshot
    assert other.pinned("0", "raw") is None
    assert client.pin("0", "raw", {"snapshot": 7}) == {"snapshot": 7}
    assert other.pinned("0", "raw") is None, "pins are those of the token's run"


def test_l10_a_revoked_run_may_finish_what_it_began_and_nothing_else(world: World) -> None:
    client = world.begun()
    late, candidate = written(world, client), written(world, client)
    client.publish(world.execution, late)
    set_hold(world.ctx, world.person, HoldKind.STOP, HERE, world.name, reason="a leak")
    service, token = RunService(world.settings), world.token()
    for one in OPERATIONS.values():
        if not one.late:
            with pytest.raises(GateRefused, match=rf"DRLS did not let {world.name} run in development: .*a leak"):
                service.answer(token.text, one, world.name, HERE, {})
    assert not client.ask_again().allowed
    with pytest.raises(GateRefused, match="a leak"):
        client.publish(world.execution, candidate)
    client.confirm("sink0", "", late.table, late.snapshot)
    with world.ctx.store.read() as view:
        receipts = [one.snapshot for one in view.runs.receipts_on(late.table, HERE)]
    assert receipts == [head(world)]
    table = load_catalog(world.settings).load_table(world.table)
    RunCatalog("lake", client).commit_table(table, (), (refs.remove_ref(candidate.branch),))
    client.beat(world.execution)
    client.leave(world.execution)


def test_a_run_that_was_not_admitted_gets_nothing_above_development(world: World) -> None:
    from drls_dagster.runs.token import bind, issue
    from lifecycle.domain.environment import Environment

    token = issue(world.ctx, bind(world.run, world.run, [Part(world.name, world.version.digest, Environment.QA)]))
    client = RunClient(world.way(token), world.name, Environment.QA)
    with pytest.raises(GateRefused, match="was not admitted; launch it through DRLS"):
        client.pinned("0", "raw")
    with pytest.raises(GateRefused, match="is not active in QA"):
        client.admit({})


def test_the_token_of_a_draft_ends_with_its_run(world: World) -> None:
    client = world.client(world.token(digest="sha256:of-a-draft"))
    assert client.saved_version() is None
    client.execute(world.execution, this_worker(place_of(world.settings)))
    assert client.admit({}) is None
    assert client.pin("0", "raw", 1) == 1
    with pytest.raises(Forbidden, match=rf"does not write {world.name}\.daily"):
        client.debris(f"{world.name}.daily", place_of(world.settings))
    client.leave(world.execution)
    with pytest.raises(RunTakenForDead, match="is over; launch a new one"):
        client.pinned("0", "raw")


def test_the_version_of_the_token_is_what_the_run_builds(world: World) -> None:
    found = world.client().saved_version()
    assert found is not None
    assert (found.digest, found.number) == (world.version.digest, 1)


@pytest.mark.parametrize("way", ["here", "over the socket"])
def test_errors_are_the_same_here_and_over_the_socket(world: World, way: str) -> None:
    part = Part(world.name, world.version.digest, HERE)
    client = RunClient(direct(world.settings, world.run, world.run, [part]), world.name, HERE)
    client = client if way == "here" else world.client()
    client.execute(world.execution, this_worker(place_of(world.settings)))
    assert client.admit({}) is not None
    with pytest.raises(GateRefused, match=rf"^snapshot 99 of {world.name}\.daily was published without a permit"):
        client.confirm("sink0", "", f"{world.name}.daily", 99)
    with pytest.raises(Forbidden, match=rf"^run {world.run} of {world.name} does not write others\.table$"):
        client.debris("others.table", place_of(world.settings))
    open_ledger(world.settings).declare_dead(world.run)
    with pytest.raises(RunTakenForDead, match=rf"^run {world.run} was declared dead: "):
        client.require_alive(world.execution)


def test_an_error_arrives_as_the_class_that_was_raised() -> None:
    for kind in (CatalogFailed, Conflict, GateRefused, RunTakenForDead, StoreError, Invalid):
        there = raised(problem_of(kind("what happened")))
        assert (type(there), there.message, there.status) == (kind, "what happened", kind.status)
    assert type(raised({"status": 503, "kind": "OfALaterRelease", "detail": "x"})) is Unavailable


def test_the_service_answers_runs_and_nobody_else(world: World) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(world.socket)), base_url="http://runs") as http:
        body = {"pipeline": world.name, "environment": "development", "given": {}}
        assert http.post("/api/runs/finish", json=body).status_code == 401
        assert http.post("/api/runs/finish", json=body, headers={"Authorization": "Basic eA=="}).status_code == 401
        own = {"Authorization": f"Bearer {world.token().text}"}
        assert http.get("/api/runs/finish", headers=own).status_code == 405
        assert http.post("/api/runs/other", json=body, headers=own).status_code == 404
        wrong = http.post("/api/runs/finish", json={**body, "given": {"more": 1}}, headers=own)
        assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")
        assert "more" in wrong.json()["detail"]
        other = http.post("/api/runs/finish", json={**body, "pipeline": "others"}, headers=own)
        assert (other.status_code, other.json()["kind"]) == (401, Unauthorized.__name__)


def test_calls_wait_while_the_service_is_killed_and_started_again(world: World, tmp_path: Path) -> None:
    place = tmp_path / "own.sock"
    with listening_at(place) as listening:
        client = RunClient(world.way(world.token(), place, patience=60), world.name, HERE)
        first = _server(world, listening)
        client.execute(world.execution, this_worker(place_of(world.settings)))
        first.kill()
        first.wait(30)
        found: list[object] = []
        waiting = threading.Thread(target=lambda: found.append(client.admit({})))
        waiting.start()
        wait_until(waiting.is_alive)
        second = _server(world, listening)
        waiting.join(60)
        second.kill()
        second.wait(30)
    assert len(found) == 1
    assert found[0] is not None


def test_a_run_on_another_machine_asks_below_the_web_site(world: World) -> None:
    """What `drls serve` mounts; a TLS proxy is in front of it."""

    async def site(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("the site")(scope, receive, send)

    config = uvicorn.Config(RunsDoor(site, world.settings), lifespan="off", log_level="warning")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        wait_until(lambda: server.started)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        way = Remote(url, world.token())
        assert RunClient(way, world.name, HERE).admit({}) is not None
        assert httpx.get(f"{url}/anything").text == "the site"
        assert httpx.get(f"{url}/api/runs/4f8e/explanation").text == "the site"
        way.close()
        server.should_exit = True
        thread.join(30)


def test_a_service_that_does_not_come_back_is_reported(world: World, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="the run service does not answer"):
        RunClient(world.way(world.token(), tmp_path / "gone.sock", patience=0.5), world.name, HERE).finish()
    assert time.monotonic() - began >= 0.5


def _server(world: World, listening: socket.socket) -> subprocess.Popen[bytes]:
    """The process as `drls up` starts it."""
    command = [sys.executable, "-m", "drls_dagster.runs.server", "--fd", str(listening.fileno())]
    environment = {**os.environ, "DRLS_HOME": str(world.settings.home)}
    return subprocess.Popen(command, pass_fds=[listening.fileno()], env=environment)


def test_a_run_gets_the_connections_that_its_version_names_and_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"driver": "postgresql", "url": "jdbc:postgresql://h/d", "password": "env:SHOP_PASSWORD"}
    settings = world.settings.model_copy(
        update={"connections": {name: ConnectionSettings.model_validate(own) for name in ("shop", "payroll")}}
    )
    source = JdbcSource(connection="shop", table="orders")
    spec = make_spec(f"{world.name}_jdbc")
    nodes = tuple(node.model_copy(update={"source": source}) if node in spec.sources else node for node in spec.nodes)
    spec = spec.model_copy(update={"nodes": nodes})
    version = save_version(world.ctx, world.person, spec)
    part = Part(spec.name, version.digest, HERE)
    service = RunService(settings)
    client = RunClient(direct(settings, f"run-of-{spec.name}", f"run-of-{spec.name}", [part], service), spec.name, HERE)
    with pytest.raises(DrlsError, match=r"connections\.shop\.password: the environment variable SHOP_PASSWORD is not"):
        client.connection("shop")
    monkeypatch.setenv("SHOP_PASSWORD", "kanarienvogel")
    given = client.connection("shop")
    assert given.password == "kanarienvogel"
    assert given.options == {"ApplicationName": "DRLS", "tcpKeepAlive": "true", "connectTimeout": "15"}
    for name in ("payroll", "gone"):
        with pytest.raises(Forbidden, match=f"does not read from a connection '{name}'"):
            client.connection(name)
    service = RunService(world.settings)
    client = RunClient(direct(settings, f"run-of-{spec.name}", f"run-of-{spec.name}", [part], service), spec.name, HERE)
    with pytest.raises(DrlsError, match=r"no connection 'shop' in development; set \[connections.shop\]"):
        client.connection("shop")
