"""Two homes, as on two machines, with one PostgreSQL database, catalog and warehouse: what one leaves, the other resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.gate.turn import begin
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.gateway import gateway_actor, open_lifecycle
from drls_dagster.lifecycle_client.opening import make_store
from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.runs.admission import admit
from drls_dagster.runs.part import Part
from drls_dagster.sensors.debris import clear_debris
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, WayIn
from lifecycle.ports import RunState
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.save_version import save_version
from tests.fakes.own_run import client_of
from tests.lifecycle.life import make_spec
from tests.postgres_server import PostgresServer
from tests.waiting import wait_until

pytestmark = pytest.mark.postgres

TABLE, BRANCH = ("shop", "sales"), "drls_run_first"
PIN = {"snapshot": 2**62 + 1}
# A run up to its write; told to go on, it tries all that a run does to publish, and says what came of it.
RUN = f"""
import json, sys
from drls_dagster.gate.turn import begin
from drls_dagster.runs.admission import admit
from drls_dagster.runs.part import Part
from drls_dagster.gate.publishing import Permitted
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment
from tests.fakes.own_run import client_of
from tests.lifecycle.life import make_spec

settings, spec, digest = load_settings(), make_spec(), sys.argv[1]
ledger, catalog = open_ledger(settings), load_catalog(settings)
ledger.execute("first", "first")
admission = admit(settings, Part("flights", digest, Environment.DEVELOPMENT), "first", run_key="first", parameters={{}})
runs = client_of(settings, spec, Environment.DEVELOPMENT, "first")
gate = Permitted(settings, spec, begin(runs, print), runs, print)
ledger.pin("first", "0", "raw", lambda: {PIN!r})
table = catalog.load_table({TABLE!r})
base = refs.head(table, "main")
ledger.open_branch("shop.sales", {BRANCH!r}, "first", "session", "engine")
refs.create_branch(catalog, table, {BRANCH!r}, base)
print("writing", flush=True)
sys.stdin.readline()

def tried(act):
    try:
        act()
    except Exception as error:
        return type(error).__name__

print(json.dumps([
    tried(lambda: ledger.require_alive("first")),
    tried(lambda: ledger.open_branch("shop.sales", "another", "first", "session", "engine")),
    tried(lambda: refs.publish(catalog, table, "main", base, base, {BRANCH!r})),
    tried(gate.ask_again),
]), flush=True)
"""


@pytest.fixture
def homes(tmp_path: Path, postgres: PostgresServer) -> tuple[Settings, Settings]:
    """Two homes, each with an engine and a Dagster of its own, that share all else."""
    shared = tmp_path / "shared"
    shared.mkdir()
    text = (
        f'[lifecycle]\nurl = "{postgres.fresh_database()}"\n'
        f'[catalog]\nuri = "sqlite:///{shared}/catalog/catalog.db"\nwarehouse = "{shared}/warehouse"\n'
        "[ledger]\nheartbeat_seconds = 0.2\ndead_seconds = 2\n"
    )
    made: list[Settings] = []
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir(mode=0o700)
        (home / "drls.toml").write_text(text)
        made.append(load_settings(home))
    one, two = made
    make_store(one, Adapters(), lambda _: None)
    shutil.copy(one.home / "signing-key.pem", two.home / "signing-key.pem")
    catalog = load_catalog(one)
    catalog.create_namespace("shop")
    table = catalog.create_table(TABLE, pa.schema([("a", pa.int64())]))
    table.append(pa.table({"a": [1]}))
    return one, two


@pytest.fixture
def part(homes: tuple[Settings, Settings]) -> Part:
    """A saved pipeline; its runs are admitted, one after the other."""
    admin = Actor(person=1, name="admin", way_in=WayIn.CLI)
    version = save_version(open_lifecycle(homes[0]), admin, make_spec())
    return Part("flights", version.digest, Environment.DEVELOPMENT)


@contextmanager
def writing(settings: Settings, part: Part) -> Iterator[subprocess.Popen[str]]:
    """A run in that home, in the middle of its write."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, part.digest],
        env={**os.environ, "DRLS_HOME": str(settings.home), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "writing\n"
            yield process
        finally:
            process.kill()


def branches(settings: Settings) -> set[str]:
    return set(load_catalog(settings).load_table(TABLE).metadata.refs) - {"main"}


def resume(settings: Settings, part: Part) -> None:
    """As the steps of a re-execution from failure begin."""
    open_ledger(settings).execute("second", "first")
    admission = admit(settings, part, "second", run_key="first", parameters={})
    assert admission is not None
    begin(client_of(settings, make_spec(), Environment.DEVELOPMENT, "second", "first"), print)


def test_d7_d13_a_run_killed_in_one_home_is_resumed_from_the_other(
    homes: tuple[Settings, Settings], part: Part
) -> None:
    one, two = homes
    ctx, actor = open_lifecycle(two), gateway_actor("reconcile sensor")
    with writing(one, part) as run:
        began = time.monotonic()
        while time.monotonic() < began + 4:  # twice as long as it is believed without a heartbeat
            assert DagsterOrchestrator(two).run_state("first") is RunState.ACTIVE
            assert clear_debris(two) == []
        assert branches(two) == {BRANCH}
        assert reconcile(ctx, actor).runs == ()
        run.kill()
        run.wait(30)

    wait_until(lambda: reconcile(ctx, actor).runs == ("first",))
    resume(two, part)
    assert open_ledger(two).pin("first", "0", "raw", lambda: "read again") == PIN
    assert clear_debris(two) == [], "the engine of the other home may still write"
    assert branches(two) == set()
    assert [one.branch for one in open_ledger(two).branches()] == [BRANCH]
    assert clear_debris(one) == [f"shop.sales:{BRANCH}"]
    assert open_ledger(two).branches() == []


def test_d7_a_run_that_was_only_cut_off_publishes_nothing_once_it_is_resumed(
    homes: tuple[Settings, Settings], part: Part
) -> None:
    one, two = homes
    with writing(one, part) as run:
        run.send_signal(signal.SIGSTOP)
        wait_until(lambda: reconcile(open_lifecycle(two), gateway_actor("reconcile sensor")).runs == ("first",))
        resume(two, part)
        assert clear_debris(two) == []
        run.send_signal(signal.SIGCONT)
        answer, _ = run.communicate("go on\n", timeout=60)
    assert json.loads(answer) == ["RunTakenForDead", "RunTakenForDead", "RefMoved", "GateRefused"]
    assert branches(two) == set()
    assert refs.head(load_catalog(two).load_table(TABLE), "main") is not None
