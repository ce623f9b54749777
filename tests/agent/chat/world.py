"""A home with people, a model provider that plays scripts, and chats in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from agent.chat import wire
from agent.chat.model import ModelClient
from agent.chat.opening import NAME
from agent.chat.service import ChatService
from agent.chat.store.database import Database
from agent.chat.store.store import ChatStore
from agent.tools.call import Client, ToolCall
from agent.tools.callers import Agent, Callers
from agent.tools.errors import ToolError
from agent.tools.tool import Answer, Effect, Input, Toolset, tool
from drls_dagster import settings as settings_module
from drls_dagster.ledger.place import place_of, this_worker
from drls_dagster.lifecycle_client import Adapters
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.local import LocalWay
from drls_dagster.lifecycle_client.opening import make_store, open_existing
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import PersonKind
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context
from lifecycle.usecases.first_start import FirstStart
from lifecycle.usecases.tokens import issue
from lifecycle.verbs.audit import search
from tests.fakes.model import KEY, FakeModel
from tests.fakes.passwords import CHEAP
from tests.lifecycle.life import SETUP, make_spec

T = TypeVar("T")
ADAPTERS = Adapters(passwords=CHEAP)
PEOPLE = {"ada": Role.DATA_ENGINEER, "lea": Role.LEAD, "vic": Role.VIEWER, "root": Role.ADMIN}
TOML = """
[agent]
retries = 2
retry_seconds = 0.01
confirm_seconds = 30
fallbacks = {fallbacks}
[agent.models.small]
model = "openai/gpt-test"
api_base = "{url}"
key = "env:MODEL_KEY"
input_price = 1.0
output_price = 2.0
[agent.models.large]
model = "openai/gpt-large"
api_base = "{url}"
key = "env:MODEL_KEY"
"""


# Tools whose effects a test can count.
DONE: list[dict[str, Any]] = []


class Look(Input):
    """What to look at."""

    what: str = "table"


class Seen(Answer):
    """What is there."""

    rows: list[str]


class Note(Input):
    """What to write."""

    pipeline: str
    rows: int = 2
    text: str = ""


class Written(Answer):
    """What was written."""

    pipeline: str
    version: int


@dataclass
class Shelf:
    """What `look` finds; `hold` makes it wait until it is let go."""

    rows: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    hold: Callable[[ToolCall], None] | None = None


SHELF = Shelf()


@tool(Toolset.READ)
def look(call: ToolCall, given: Look) -> Seen:
    """Look at what is there."""
    if SHELF.hold is not None:
        SHELF.hold(call)
    if given.what == "nothing":
        raise ToolError("there is no nothing here", hint="look at table")
    if given.what == "bug":
        raise RuntimeError("password=hunter2word broke")
    return Seen(rows=SHELF.rows.get(given.what, ["a row"]), next="nothing")


@tool(Toolset.BUILD, role=Role.DATA_ENGINEER, effect=Effect.CHANGE)
def save_it(call: ToolCall, given: Note) -> Written:
    """Save a version."""
    call.client.progress(1, 2, "saving")
    made = call.lifecycle.pipelines.save(make_spec(given.pipeline, given.rows))
    DONE.append({"saved": made.number})
    return Written(pipeline=given.pipeline, version=made.number)


@tool(Toolset.BUILD, role=Role.DATA_ENGINEER, effect=Effect.CHANGE)
def ask_first(call: ToolCall, given: Note) -> Written:
    """Ask, then save."""
    call.confirm(f"Save {given.pipeline}?")
    made = call.lifecycle.pipelines.save(make_spec(given.pipeline, given.rows))
    DONE.append({"saved": made.number})
    return Written(pipeline=given.pipeline, version=made.number)


class Place(Input):
    """Where to start it."""

    pipeline: str
    environment: str = "development"


class OfRun(Input):
    """Which run."""

    run_id: str


class OfRequest(Input):
    """Which request, and what to say."""

    request: int
    text: str = ""


class Wish(Input):
    """What to promote."""

    pipeline: str
    version: int
    target: Environment


class Did(Answer):
    """What was done."""

    done: str


@tool(Toolset.RUNS, role=Role.DATA_ENGINEER, effect=Effect.CHANGE)
def start_it(call: ToolCall, given: Place) -> Did:
    """Start a run; asks nobody."""
    call.dagster.query("mutation Launch($p: String) { launch(p: $p) { id } }", given.model_dump())
    return Did(done="started")


@tool(Toolset.RUNS, role=Role.DATA_ENGINEER)
def stop_it(call: ToolCall, given: OfRun) -> Did:
    """Stop a run, by a tool that says it only reads."""
    call.dagster.query('query Q { a(b: "x") }\n mutation M($id: String) { stop(id: $id) { id } }', given.model_dump())
    return Did(done="stopped")


@tool(Toolset.PROPOSE, role=Role.VIEWER, effect=Effect.ADD)
def comment_it(call: ToolCall, given: OfRequest) -> Did:
    """Comment on a request."""
    call.lifecycle.promotions.comment(given.request, given.text)
    return Did(done="commented")


@tool(Toolset.PROPOSE, role=Role.DATA_ENGINEER, effect=Effect.ADD)
def request_it(call: ToolCall, given: Wish) -> Did:
    """Request a promotion."""
    call.lifecycle.promotions.request(given.pipeline, given.version, given.target)
    return Did(done="requested")


@tool(Toolset.PROPOSE, role=Role.DATA_ENGINEER, effect=Effect.CHANGE)
def withdraw_it(call: ToolCall, given: OfRequest) -> Did:
    """Withdraw a request."""
    call.lifecycle.promotions.withdraw(given.request)
    return Did(done="withdrawn")


@tool(Toolset.PROPOSE, role=Role.VIEWER, effect=Effect.ADD)
def comment_and_hang(call: ToolCall, given: OfRequest) -> Did:
    """Comment on a request; the answer comes when the file `go` is in the home."""
    call.lifecycle.promotions.comment(given.request, given.text)
    home = call.settings.home
    (home / "hanging").touch()
    pause = threading.Event()
    while not (home / "go").exists() and not call.client.cancelled:
        pause.wait(0.02)
    return Did(done="commented")


class RecordingDagster:
    """Answers nothing, and keeps what it was asked."""

    url = "http://localhost/dagster"

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def query(self, document: str, variables: Any = None, *, key: str | None = None) -> dict[str, Any]:
        self.asked.append((document, dict(variables or {})))
        return {}


DAGSTER = RecordingDagster()


class OwnStore(Callers):
    """Callers on a store that is open already, with a Dagster that keeps what it is asked."""

    def __init__(self, ctx: Context, settings: Settings) -> None:
        super().__init__(settings, agent=NAME)
        self._ctx = ctx

    def call(self, agent: Agent, client: Client | None = None) -> ToolCall:
        # A token for changes without asking changes nothing about a chat.
        return replace(super().call(agent, client), unattended=True, dagster_of=lambda: DAGSTER)

    def close(self) -> None:
        """The store is the test's."""


@dataclass
class World:
    """`tokens` by person, `fake` the provider, `adapters` what the store is opened with."""

    home: Path
    tokens: dict[str, str]
    fake: FakeModel
    adapters: Adapters = ADAPTERS

    @property
    def settings(self) -> Settings:
        return load_settings(self.home)

    def configure(self, more: str = "", fallbacks: str = "[]") -> None:
        (self.home / "drls.toml").write_text(TOML.format(url=self.fake.url, fallbacks=fallbacks) + more)
        settings_module._load.cache_clear()

    @contextmanager
    def context(self) -> Iterator[Context]:
        ctx = open_existing(self.settings, self.adapters)
        yield ctx
        ctx.store.close()

    def store(self) -> ChatStore:
        place = place_of(self.settings)
        return ChatStore(Database(self.settings), place, this_worker(place))

    def play(self, main: Callable[[Chatting], Awaitable[T]], seconds: float = 60) -> T:
        """Opens the chats, plays, and closes them."""

        async def whole(ctx: Context) -> T:
            callers = OwnStore(ctx, self.settings)
            service = ChatService(self.settings, callers, self.store(), ModelClient(self.settings.agent))
            try:
                return await asyncio.wait_for(main(Chatting(service, self.tokens)), seconds)
            finally:
                await service.close()

        with self.context() as ctx:
            return asyncio.run(whole(ctx))

    def comments(self) -> list[str]:
        with self.context() as ctx:
            way = LocalWay(ctx, self.tokens["ada"], host="", os_user="")
            return [one.body for one in Lifecycle(way).promotions.comments(1)]

    def versions(self, name: str = "flights") -> int:
        with self.context() as ctx:
            return len(Lifecycle(LocalWay(ctx, self.tokens["ada"], host="", os_user="")).pipelines.versions(name))

    def audited(self) -> list[str]:
        with self.context() as ctx:
            way = LocalWay(ctx, self.tokens["root"], host="", os_user="")
            found = sorted(Lifecycle(way).ask(search, {}, everything=True), key=lambda one: one.sequence)
            # The account of the agent is made by its first token.
            return [one.verb for one in found if not one.verb.startswith("agent.")]


class Chatting:
    """A person at a chat: says something, and sees what comes of it."""

    def __init__(self, service: ChatService, tokens: dict[str, str]) -> None:
        self.service, self.tokens = service, tokens

    async def begin(self, who: str = "ada", model: str = "") -> str:
        return (await self.service.begin(self.tokens[who], wire.NewChat(model=model))).id

    async def say(
        self,
        chat: str,
        text: str,
        who: str = "ada",
        agree: bool | None = None,
        key: str | None = None,
        seen: list[Any] | None = None,
    ) -> list[Any]:
        """Says it, answers each question with `agree` (None: nobody answers), and waits for the end; the entries."""
        token = self.tokens[who]
        _, after = await self.service.say(token, chat, wire.Message(text=text, key=key))
        async for one in await self.service.events(token, chat, after=after, until_end=True):
            if one is None:
                continue
            if seen is not None:
                seen.append(one[1])
            if agree is not None and isinstance(one[1], wire.EntryEvent):
                entry = one[1].entry
                if isinstance(entry, wire.ToolEntry) and entry.question is not None:
                    answer = wire.Answer(agree=agree, digest=entry.question.digest)
                    await self.service.answer(token, chat, entry.id, answer)
        return await self.entries(chat, who)

    async def entries(self, chat: str, who: str = "ada") -> list[Any]:
        return list((await self.service.chat(self.tokens[who], chat)).entries)


def make_home(home: Path) -> dict[str, str]:
    """A store with people and one pipeline; their tokens."""
    settings = load_settings(home)
    make_store(settings, ADAPTERS, _welcome)
    ctx = open_existing(settings, ADAPTERS)
    tokens = dict[str, str]()
    for name, role in PEOPLE.items():
        with ctx.store.write(SETUP, "add_person") as unit:
            person = unit.people.add(
                name=name, kind=PersonKind.HUMAN.value, display_name=name, email=None, email_verified=False,
                password_hash=None, subject=None, acts_for=None, disabled_at=None,
            )  # fmt: skip
            unit.people.add_grant(
                person_id=person.id, team_id=None, role=role.value, scope="everything", scope_value="",
                granted_by=None, revoked_at=None,
            )  # fmt: skip
            unit.audit("person.added", f"person:{name}")
            scopes = tuple(TokenScope)
            life = timedelta(days=30)
            tokens[name] = issue(unit, person, TokenKind.PERSONAL, "test", scopes=scopes, life=life).secret
    ada = Lifecycle(LocalWay(ctx, tokens["ada"], host="", os_user=""))
    ada.pipelines.save(make_spec())
    ada.promotions.request("flights", 1, Environment.QA)
    ctx.store.close()
    return tokens


def _welcome(_: FirstStart) -> None:
    """The first Admin's token is not needed."""


__all__ = ["DAGSTER", "DONE", "KEY", "SHELF", "Chatting", "World", "make_home"]
