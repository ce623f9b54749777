"""A run behind its socket: with its token it changes its own tables, and a publish does not need it to live on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

import pytest
import uvicorn
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.prepare import OWNER
from drls_dagster.runs.app import run_routes
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.memory import Executing, RunMemory
from drls_dagster.runs.part import Part
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.service import RunService
from drls_dagster.runs.table_words import Candidate
from drls_dagster.runs.token import RunToken, bind, issue
from drls_dagster.settings import LedgerSettings
from lifecycle.domain.run import CheckResult, Work
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.fakes.forbidden_updates import BEYOND, FORBIDDEN
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import QA, SETUP, Life
from tests.waiting import wait_until

DAILY = "flights.daily"
# The process of a run, which asks for its publish.
WORKER = """
import os, sys
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.table_words import Candidate
from drls_dagster.runs.token import RunToken
from lifecycle.domain.environment import Environment

way = Remote(os.environ["URL"], RunToken(os.environ["TOKEN"]))
candidate = Candidate.model_validate_json(sys.stdin.read())
RunClient(way, "flights", Environment.QA).publish(os.environ["EXECUTION"], candidate)
"""


# The process of a run in a home whose catalog needs a password that this process does not have.
READER = """
import os, sys
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.token import RunToken
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment

try:
    load_catalog(load_settings())
except DrlsError as error:
    print(error.message)
way = Remote(os.environ["URL"], RunToken(os.environ["TOKEN"]))
table = RunCatalog("lake", RunClient(way, "flights", Environment.QA)).load_table("flights.daily")
print(len(table.current_snapshot().manifests(table.io)))
"""


class Deadly(SqlCatalog):
    """A real catalog in whose next commit the process `victim` is killed."""

    victim: subprocess.Popen[str] | None = None

    @classmethod
    def around(cls, real: Catalog) -> Self:
        made = cls.__new__(cls)
        made.__dict__.update(real.__dict__)
        return made

    def commit_table(self, *given: Any) -> Any:
        if self.victim is not None:
            self.victim.kill()
            self.victim.wait()
        return super().commit_table(*given)


class Served:
    """A run of flights in QA, whose platform is behind a socket."""

    def __init__(self, life: Life, folder: Path) -> None:
        self.life, self.lake = life, cast(LakePlane, life.plane)
        with life.store.write(SETUP, "setup") as unit:
            rotate_secret(unit)
        self.lake.make(DAILY, **{OWNER: "flights"})
        self.lake.commit(DAILY)
        version = life.save()
        life.to_qa(version)
        self.run_id = life.begin(version, QA)
        self.catalog = Deadly.around(self.lake.catalog)
        self.service = RunService(self.lake.settings, lambda: life.ctx, catalog=lambda: self.catalog)
        self.ways: list[Remote] = []
        self.url = f"unix:{folder / 'runs.sock'}"
        self.token = issue(life.ctx, bind(self.run_id, self.run_id, [Part("flights", version.digest, QA)]))

    def client(self, token: RunToken | None = None) -> RunClient:
        self.ways.append(Remote(self.url, token or self.token))
        return RunClient(self.ways[-1], "flights", QA)

    def executing(self, client: RunClient) -> Executing:
        """This process's work on the run; no heartbeat falls into the test."""
        seldom = LedgerSettings(heartbeat_seconds=600, dead_seconds=1800)
        return Executing(client, self.lake.settings.model_copy(update={"ledger": seldom}))

    @contextmanager
    def listening(self) -> Iterator[Self]:
        path = self.url.removeprefix("unix:")
        server = uvicorn.Server(uvicorn.Config(run_routes(self.service), uds=path, lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started)
        yield self
        for way in self.ways:
            way._forget()
        server.should_exit = True
        thread.join()

    def candidate(self, client: RunClient, memory: RunMemory) -> Candidate:
        """What a sink has written, on a branch that it made through the socket."""
        base = self.lake.head(DAILY, "qa")
        snapshot = self.lake.write(DAILY, base)
        branch = f"drls_run_{self.run_id[:8]}_{snapshot:08x}"
        memory.open_branch(DAILY, branch, "session", "engine")
        catalog = RunCatalog("lake", client)
        table = catalog.load_table(DAILY)
        refs.create_branch(catalog, table, branch, snapshot)
        check = CheckResult(node="checks0", check="some", passed=True)
        return Candidate(
            step="sink0", partition="", table=DAILY, branch=branch, base=base, snapshot=snapshot, rebuilt_as=None,
            work=Work(checks=(check,), table_uuid=str(table.metadata.table_uuid)),
        )  # fmt: skip


@pytest.fixture
def served(life: Life) -> Iterator[Served]:
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="drls-") as folder, Served(life, Path(folder)).listening() as one:
        yield one


def test_a_run_changes_nothing_that_is_the_platforms_with_a_real_token_over_the_socket(served: Served) -> None:
    before = served.lake.lake_table(DAILY)
    catalog = RunCatalog("lake", served.client())
    assert catalog.load_table(DAILY).metadata == before.metadata
    for what, make in {**FORBIDDEN, **BEYOND}.items():
        with pytest.raises(Forbidden, match=r"^a run of flights in QA may not "):
            catalog.commit_table(catalog.load_table(DAILY), (), (make(before),))
        assert served.lake.lake_table(DAILY).metadata == before.metadata, what
    stranger = RunCatalog("lake", served.client(RunToken("a.b.c")))
    with pytest.raises(Unauthorized):
        stranger.load_table(DAILY)


def test_the_process_of_a_run_needs_no_credential_of_the_catalog(served: Served) -> None:
    settings = served.lake.settings
    (settings.home / "drls.toml").write_text('[catalog.secrets]\npassword = "env:LAKE_PASSWORD"\n')
    environment = {**os.environ, "URL": served.url, "TOKEN": served.token.text, "DRLS_HOME": str(settings.home)}
    told = subprocess.run([sys.executable, "-c", READER], env=environment, capture_output=True, text=True, check=True)
    without, manifests = told.stdout.splitlines()
    assert "LAKE_PASSWORD" in without
    assert manifests == "1"


def test_a_publish_goes_over_the_socket_as_a_whole(served: Served) -> None:
    client = served.client()
    executing = served.executing(client)
    memory = RunMemory(client, executing)
    candidate = served.candidate(client, memory)
    table = RunCatalog("lake", client).table_of(("flights", "daily"), memory.publish(candidate))
    executing.leave()
    assert refs.head(table, "qa") == candidate.snapshot == served.lake.head(DAILY, "qa")


def test_a_run_that_is_killed_while_it_publishes_leaves_no_publish_without_a_receipt(served: Served) -> None:
    client = served.client()
    executing = served.executing(client)
    candidate = served.candidate(client, RunMemory(client, executing))
    environment = {**os.environ, "URL": served.url, "TOKEN": served.token.text, "EXECUTION": executing.name}
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, text=True, env=environment)
    served.catalog.victim = worker
    assert worker.stdin is not None
    worker.stdin.write(candidate.model_dump_json())
    worker.stdin.close()
    assert worker.wait(60) == -signal.SIGKILL

    def receipt() -> bool:
        with served.life.store.read() as view:
            return [one.snapshot for one in view.runs.receipts_on(DAILY, QA)] == [candidate.snapshot]

    wait_until(receipt)
    executing.leave()
    assert served.lake.head(DAILY, "qa") == candidate.snapshot
