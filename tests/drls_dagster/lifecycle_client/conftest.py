"""One store, asked along both ways: by this process itself, and through a server on a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn

from drls_dagster.lakehouse.altering import IcebergEvolution
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.http import HttpLifecycle
from drls_dagster.lifecycle_client.local import LocalLifecycle
from drls_dagster.settings import load_settings
from lifecycle.audit.keys import SigningKey
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.fence import FenceFacts, FenceKind
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.roles import Role
from lifecycle.store.store import Store
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from lifecycle.usecases.tokens import issue
from tests.fakes.clock import FakeClock
from tests.fakes.instant_maintenance import InstantMaintenance
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import SETUP, Life

WAYS = ("store", "server")


class World:
    """The small world of the lifecycle's tests, with a server on its store."""

    def __init__(self, life: Life, url: str) -> None:
        self.life = life
        self.url = url
        self._open: dict[tuple[str, str | None], Lifecycle] = {}

    def token(self, name: str, *scopes: TokenScope) -> str:
        with self.life.store.write(SETUP, "token") as unit:
            person = unit.people.named(name)
            life = timedelta(days=300)
            return issue(unit, person, TokenKind.PERSONAL, "test", scopes=scopes or tuple(TokenScope), life=life).secret

    def ask(self, way: str, name: str, *scopes: TokenScope) -> Lifecycle:
        """The lifecycle as somebody, with a token for these scopes, or for all."""
        return self.with_token(way, self.token(name, *scopes))

    def with_token(self, way: str, token: str | None) -> Lifecycle:
        if (way, token) not in self._open:
            self._open[way, token] = (
                LocalLifecycle(self.life.ctx, token, host="laptop", os_user="tester")
                if way == "store"
                else HttpLifecycle(self.url, token, host="laptop")
            )
        return self._open[way, token]

    def add_somebody(self, name: str, role: Role | None = None, on: str = "") -> None:
        """An account; with a role on everything, or on one pipeline."""
        self.life.add_person(name, None)
        if role is None:
            return
        with self.life.store.write(SETUP, "grant") as unit:
            unit.people.add_grant(
                person_id=unit.people.named(name).id, team_id=None, role=role.value,
                scope=(ScopeKind.PIPELINE if on else ScopeKind.EVERYTHING).value, scope_value=on, granted_by=None,
                revoked_at=None,
            )  # fmt: skip
            unit.audit("grant.added", f"person:{name}")

    def close(self) -> None:
        for (way, _), client in self._open.items():
            # Closing the others would close the store that the server answers from.
            if way == "server":
                client.close()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SigningKey]:
    file, key = tmp_path_factory.mktemp("template") / "lifecycle.db", SigningKey.generate()
    Store.create(f"sqlite:///{file}", key, FakeClock()).close()
    return file, key


@pytest.fixture
def world(tmp_path: Path, empty_store: tuple[Path, SigningKey]) -> Iterator[World]:
    template, key = empty_store
    file = tmp_path / "lifecycle.db"
    file.write_bytes(template.read_bytes())
    clock = FakeClock()
    store = Store.open(f"sqlite:///{file}", key, clock)
    life = Life(store, tmp_path, clock)
    fence = FenceFacts(kind=FenceKind.LANDLOCK, detail="Landlock")
    life.ctx = replace(
        life.ctx,
        fence=lambda: fence,
        tables=IcebergTables(load_settings()),
        maintenance=InstantMaintenance(load_settings()),
        evolution=IcebergEvolution(load_settings()),
    )
    with store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = site_of(life.ctx)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        made = World(life, f"http://127.0.0.1:{listening.getsockname()[1]}")
        try:
            yield made
        finally:
            made.close()
            server.should_exit = True
            thread.join(timeout=30)
            store.close()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return request.param
