"""A home with a lifecycle and a table, whose run service answers on a real socket."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import place_of, this_worker
from drls_dagster.lifecycle_client.gateway import connected_adapters, open_lifecycle
from drls_dagster.lifecycle_client.opening import make_store
from drls_dagster.runs.address import UNIX
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.part import Part
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.server import server_of
from drls_dagster.runs.service import RunService
from drls_dagster.runs.token import RunToken, bind, issue
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, WayIn
from lifecycle.domain.version import Version
from lifecycle.usecases.context import Context
from lifecycle.usecases.save_version import save_version
from tests.lifecycle.life import make_spec
from tests.waiting import wait_until

HERE = Environment.DEVELOPMENT


@dataclass
class World:
    """A saved pipeline, which is active in development, and two runs of it."""

    settings: Settings
    ctx: Context
    person: Actor
    version: Version
    name: str
    socket: Path
    _ways: list[Remote] = field(default_factory=list)

    @property
    def table(self) -> tuple[str, str]:
        """Where its first sink writes."""
        return f"{self.name}__development", "daily"

    @property
    def run(self) -> str:
        return f"run-of-{self.name}"

    @property
    def other(self) -> str:
        return f"other-run-of-{self.name}"

    def token(self, run_id: str = "", digest: str | None = None, run_key: str | None = None) -> RunToken:
        part = Part(self.name, digest or self.version.digest, HERE)
        return issue(self.ctx, bind(run_id or self.run, run_key or run_id or self.run, [part], self.person))

    def way(self, token: RunToken, place: Path | None = None, *, patience: float = 0.0) -> Remote:
        self._ways.append(Remote(f"{UNIX}{place or self.socket}", token, patience=patience))
        return self._ways[-1]

    def client(self, token: RunToken | None = None) -> RunClient:
        """As the process of a run has it."""
        return RunClient(self.way(token or self.token()), self.name, HERE)

    def begun(self) -> RunClient:
        """A run that was admitted and has its turn; `execution` executes it."""
        client = self.client()
        client.execute(self.execution, this_worker(place_of(self.settings)))
        assert client.admit({}) is not None
        assert client.start().waits_for == ""
        return client

    @property
    def execution(self) -> str:
        return f"{self.run}-0"

    def close(self) -> None:
        for one in self._ways:
            one.close()


@contextmanager
def listening_at(place: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
        found.bind(str(place))
        found.listen()
        yield found


@contextmanager
def serving(service: RunService, place: Path) -> Iterator[None]:
    """The run service in a thread."""
    with listening_at(place) as listening:
        server = server_of(service)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        wait_until(lambda: server.started)
        yield
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Context, Path]]:
    """One service for the tests of a file, each of which has a pipeline of its own."""
    folder = tmp_path_factory.mktemp("runs")
    settings = load_settings(folder / "home")
    make_store(settings, connected_adapters(settings), lambda _: None)
    ctx = open_lifecycle(settings)
    with serving(RunService(settings), folder / "runs.sock"):
        yield settings, ctx, folder / "runs.sock"
    ctx.store.close()


@pytest.fixture
def world(home: tuple[Settings, Context, Path]) -> Iterator[World]:
    settings, ctx, place = home
    with ctx.store.read() as view:
        first = view.people.all()[0]
    person = Actor(person=first.id, name=first.name, way_in=WayIn.DAGSTER, host="laptop")
    name = f"flights{uuid.uuid4().hex[:8]}"
    made = World(settings, ctx, person, save_version(ctx, person, make_spec(name)), name, place)
    catalog = load_catalog(settings)
    catalog.create_namespace(made.table[0])
    catalog.create_table(made.table, pa.schema([("id", pa.int64())])).append(pa.table({"id": [1]}))
    yield made
    made.close()
