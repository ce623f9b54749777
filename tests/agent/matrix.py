"""A store with two pipelines, people of every role on everything or on one of them, and an agent for each of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fastapi.testclient import TestClient
from pydantic import BaseModel

from agent.mcp.http import PATH, make_app
from agent.tools.call import NoClient, ToolCall
from agent.tools.callers import Callers
from agent.tools.schema import as_json
from drls_dagster.lakehouse.altering import IcebergEvolution
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.http import HttpWay
from drls_dagster.lifecycle_client.local import LocalWay
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.private_home import make_private
from drls_dagster.settings import Settings, load_settings
from lifecycle.audit import load_signing_key
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import WAY_IN, ScopeKind, WayIn
from lifecycle.domain.roles import Role
from lifecycle.ports import SystemClock
from lifecycle.spec.writing import dump_yaml
from lifecycle.store.store import Store
from lifecycle.usecases.agents import issue_agent_token
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from lifecycle.usecases.tokens import issue
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from lifecycle.verbs import people
from tests.fakes.instant_maintenance import InstantMaintenance
from tests.iceberg_tables import make_table
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import PRODUCTION, QA, SETUP, UAT, Life, make_spec

MINE, THEIRS, NOWHERE = "mine", "theirs", "nowhere"
TRANSPORTS = ("store", "server")
DAYS = timedelta(days=9)
BOTH = (TokenScope.READ, TokenScope.WRITE)
# By name: the role, and the pipeline that it is for ("" everything). Nil has none.
PEOPLE: dict[str, tuple[Role | None, str]] = {
    "nil": (None, ""),
    "vic": (Role.VIEWER, ""), "ada": (Role.DATA_ENGINEER, ""), "lea": (Role.LEAD, ""), "adam": (Role.ADMIN, ""),
    "vera": (Role.VIEWER, MINE), "nora": (Role.DATA_ENGINEER, MINE), "lars": (Role.LEAD, MINE),
    "anna": (Role.ADMIN, MINE),
}  # fmt: skip


class Agrees(NoClient):
    """A person who confirms whatever they are asked."""

    can_confirm = True

    def confirm(self, question: str) -> bool:
        return bool(question)


@dataclass(frozen=True)
class Place:
    """What a tool can be asked about: of one pipeline, its tables, runs and open request."""

    pipeline: str
    request: int
    run: str = "there-is-no-such-run"

    @property
    def table(self) -> str:
        return f"{self.pipeline}.daily"

    @property
    def definition(self) -> str:
        """The pipeline's file, as its first version has it."""
        return dump_yaml(make_spec(self.pipeline))


@dataclass
class World:
    """`places` are MINE, THEIRS, and NOWHERE, which does not exist."""

    life: Life
    settings: Settings
    client: Any
    places: dict[str, Place]
    _agents: dict[tuple[str, str, tuple[TokenScope, ...]], str] = field(default_factory=dict, repr=False)

    def token(self, name: str, *scopes: TokenScope) -> str:
        """A personal token of somebody."""
        with self.life.store.write(SETUP, "token") as unit:
            who = unit.people.named(name)
            return issue(unit, who, TokenKind.PERSONAL, "test", scopes=scopes or tuple(TokenScope), life=DAYS).secret

    def agent_token(self, name: str, transport: str, *scopes: TokenScope) -> str:
        """The token of 15 minutes that a program gets for its agent, the way that programs get it."""
        key = (name, transport, scopes)
        if key not in self._agents:
            own = self.lifecycle(transport, self.token(name, *scopes))
            self._agents[key] = own.ask(people.agent_token, {"agent": "claude"}).token
        return self._agents[key]

    def long_token(self, name: str, agent: str = "claude") -> str:
        """A token that somebody issued for their agent, who changes things without asking."""
        made = issue_agent_token(
            self.life.ctx, self.life.as_(name), agent, scopes=BOTH, life=DAYS,
            within=TokenScope, unattended=True,
        )  # fmt: skip
        return made.secret

    def lifecycle(self, transport: str, token: str) -> Lifecycle:
        if transport == "store":
            return Lifecycle(LocalWay(self.life.ctx, token, host="here", os_user="me", way_in=WayIn.MCP))
        return Lifecycle(HttpWay(self.client, token, "here"))

    def call(self, name: str, transport: str, *scopes: TokenScope) -> ToolCall:
        """A call of a tool as the agent of somebody. The scopes are those that its token has."""
        lifecycle = self.lifecycle(transport, self.agent_token(name, transport, *scopes))
        has = frozenset(lifecycle.ask(people.me, {}).scopes)
        return ToolCall(lifecycle, has, self.settings, client=Agrees())

    def place(self, name: str) -> Place:
        """One of `places`, whose request waits: eve asks again for one that is over."""
        found = self.places[name]
        if name != NOWHERE and not self.life.promotion(found.request).state.is_open:
            with self.life.store.read() as view:
                pipeline = view.pipelines.named(name)
                version = view.pipelines.numbered(pipeline, 1)
                others = [one for one in view.promotions.unfinished(pipeline.id) if one.target is PRODUCTION]
            for one in others:
                withdraw_promotion(self.life.ctx, self.life.as_("leo"), one.id, reason="eve asks")
            asked = self.life.ask(version, PRODUCTION, "eve", name)
            found = self.places[name] = replace(found, request=asked.id)
        return found

    @property
    def entries(self) -> int:
        """How long the audit log is: what was refused before it began leaves nothing in it."""
        with self.life.store.read() as view:
            return view.log.head().sequence


def add_people(life: Life) -> None:
    """Those of PEOPLE that are not there yet."""
    for name, (role, on) in PEOPLE.items():
        with life.store.read() as view:
            if view.people.find(name) is not None:
                continue
        life.add_person(name, None)
        if role is not None:
            with life.store.write(SETUP, "grant") as unit:
                unit.people.add_grant(
                    person_id=life.person(name), team_id=None, role=role.value, scope=ScopeKind.PIPELINE.value,
                    scope_value=on, granted_by=None, revoked_at=None,
                )  # fmt: skip
                unit.audit("grant.added", f"person:{name}")


@contextmanager
def mcp_server(world: World) -> Iterator[str]:
    """The MCP server over HTTP, on the world's store; its address."""
    # Every tool for every place at once is more than one agent may ask.
    limits = world.settings.mcp.model_copy(update={"requests_per_minute": 100_000, "burst": 10_000})
    callers = Callers(world.settings.model_copy(update={"mcp": limits}), agent="claude")
    callers._ctx = world.life.ctx
    app = make_app(callers)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)


@contextmanager
def matrix_world(home: Path) -> Iterator[World]:
    """Each pipeline has a version in UAT that eve asked to promote to production."""
    settings = load_settings(home)
    make_private(home)
    # As MCP's own processes have it.
    clock: Any = SystemClock()
    store = Store.create(store_url(settings), load_signing_key(signing_key_file(settings)), clock)
    life = Life(store, home, clock)
    life.ctx = replace(life.ctx, tables=IcebergTables(settings), maintenance=InstantMaintenance(settings))
    life.ctx = replace(life.ctx, tables=IcebergTables(settings), evolution=IcebergEvolution(settings))
    with store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    add_people(life)
    places = {NOWHERE: Place(NOWHERE, 999_999)}
    for name in (MINE, THEIRS):
        make_table(f"{name}.daily", {"x": [1, 2]})
        version = life.save(make_spec(name), by="eve")
        life.to_qa(version, name, by="eve")
        life.run(version, QA, name)
        life.approve(life.ask(version, UAT, "eve", name), "leo")
        life.run(version, UAT, name)
        places[name] = Place(name, life.ask(version, PRODUCTION, "eve", name).id, life.begin(version, UAT, name))
    with TestClient(site_of(life.ctx), base_url="http://localhost", headers={WAY_IN: "mcp"}) as client:
        yield World(life, settings, client, places)
    store.close()


def words(answer: BaseModel) -> str:
    """All that an answer says."""
    return str(as_json(answer))
