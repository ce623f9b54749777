"""What chats leave behind, on both databases: pages, search, turns of processes that died, and who sees what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.chat import wire
from agent.chat.store.database import Database
from agent.chat.store.store import DEAD_SECONDS, ChatStore
from drls_dagster.ledger.place import Place, place_of, this_worker
from drls_dagster.settings import Settings
from lifecycle.errors import Conflict, NotFound, StoreError
from tests.postgres_server import running_postgres


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with running_postgres() as server:
        yield server.fresh_database()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    given = {"home": tmp_path / "home"}
    if request.param == "postgresql":
        given["lifecycle"] = {"url": request.getfixturevalue("postgres_url")}
    return Settings.model_validate(given)


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(settings: Settings, clock: Clock) -> Iterator[ChatStore]:
    place = place_of(settings)
    found = ChatStore(Database(settings), place, this_worker(place), clock)
    yield found
    found.close()


def elsewhere(settings: Settings, clock: Clock, *, gone: bool) -> ChatStore:
    """The store as another process has it: one of this machine that is gone, or one of another machine."""
    place = place_of(settings)
    worker = this_worker(place)
    if gone:
        return ChatStore(Database(settings), place, replace(worker, pid=2**22 - 3, created=1.0), clock)
    other = Place("another-home", "another-boot", "another", "another-host")
    return ChatStore(Database(settings), other, this_worker(other), clock)


def a_call(number: int, at: object, state: wire.CallState = wire.CallState.RUNNING) -> wire.ToolEntry:
    return wire.ToolEntry(
        id=number, at=at, tool="run", title="Run", changes=True, arguments={"pipeline": "flights"}, state=state
    )  # type: ignore[arg-type]


def test_chats_come_in_pages_the_last_used_first(store: ChatStore) -> None:
    names = [store.begin("pat", "small", f"Chat {number}", None) for number in range(5)]
    store.open_turn(names[0], "Back to you", None)
    seen, before = list[str](), None
    while True:
        page = store.list("pat", before=before, limit=2)
        seen += [one.id for one in page.items]
        before = page.next
        if before is None:
            break
    assert seen == [names[0], *reversed(names[1:])]
    assert store.list("nobody").items == ()
    assert len(store.list(None, limit=200).items) >= 5


def test_a_search_looks_at_messages_calls_and_titles(store: ChatStore) -> None:
    chat = store.begin("sue", "small", "About Flüge", None)
    store.open_turn(chat, "Why did 100% of FLIGHTS fail?", None)
    store.add(chat, lambda number, at: a_call(number, at).model_copy(update={"output": '{"error":"no_such_column"}'}))
    for search in ("flights fail", "100%", "no_such_column", "pipeline", "flüge"):
        assert [one.id for one in store.list("sue", search).items] == [chat], search
    for search in ("100_", "nosuchcolumn", "flights succeed"):
        assert store.list("sue", search).items == (), search
    assert "flights" in store.list("sue", "flights").found[0]


def test_one_turn_at_a_time_and_a_key_begins_one(store: ChatStore) -> None:
    chat = store.begin("ada", "small", "New chat", None)
    said, is_new = store.open_turn(chat, "Hello", "k")
    assert (said.id, is_new) == (1, True)
    with pytest.raises(Conflict, match="still at work"):
        store.open_turn(chat, "And?", None)
    assert store.open_turn(chat, "Hello", "k") == (said, False)
    store.close_turn(chat, 1)
    assert store.open_turn(chat, "And?", None)[1]


def test_a_dead_turn_says_what_is_known(store: ChatStore, settings: Settings, clock: Clock) -> None:
    dead = elsewhere(settings, clock, gone=True)
    chat = dead.begin("ada", "small", "New chat", None)
    said, _ = dead.open_turn(chat, "Run it", None)
    dead.add(chat, lambda number, at: wire.Reply(id=number, at=at, text="I ru", model="small", done=False))
    dead.add(chat, a_call)
    dead.add(chat, lambda number, at: a_call(number, at, wire.CallState.ASKING))
    dead.close()
    store.close_dead()
    assert store.info(chat).state is wire.ChatState.IDLE
    _, reply, lost, asked, note = (one.entry for one in store.entries(chat))
    assert isinstance(reply, wire.Reply)
    assert isinstance(lost, wire.ToolEntry)
    assert isinstance(asked, wire.ToolEntry)
    assert reply.done
    assert lost.state is wire.CallState.UNKNOWN
    assert "may or may not have taken effect" in lost.error
    assert asked.state is wire.CallState.STOPPED
    assert "nothing was changed" in asked.error
    assert isinstance(note, wire.Note)
    # Once: whoever looks next finds it closed.
    store.close_dead()
    assert len(store.entries(chat)) == 5
    assert said.id == 1


def test_a_turn_of_another_machine_is_dead_when_it_is_silent(
    store: ChatStore, settings: Settings, clock: Clock
) -> None:
    other = elsewhere(settings, clock, gone=False)
    chat = other.begin("ada", "small", "New chat", None)
    other.open_turn(chat, "Run it", None)
    clock.now += DEAD_SECONDS - 20
    other.beat(chat, 1)
    clock.now += DEAD_SECONDS - 20
    assert store.info(chat).state is wire.ChatState.WORKING
    clock.now += DEAD_SECONDS
    assert store.info(chat).state is wire.ChatState.IDLE
    other.close()


def test_uses_are_counted_by_chat_person_and_day(store: ChatStore, clock: Clock) -> None:
    one, two = (store.begin("kim", "small", "New chat", None) for _ in range(2))
    store.spend(one, 1, "kim", model="small", tokens=10, money=0.5, steps=1, seconds=2)
    store.spend(two, 1, "kim", model="small", tokens=5, money=None, steps=1)
    assert store.used(chat=one) == wire.Usage(tokens=10, money=0.5, steps=1, seconds=2)
    assert store.used(owner="kim", day=store.today).tokens == 15
    assert store.used(owner="kim").money is None
    assert store.used(chat=one, turn=2).steps == 0
    clock.now += 86_400
    assert store.used(owner="kim", day=store.today).tokens == 0


def test_there_is_nothing_to_see_of_what_is_not_there(store: ChatStore) -> None:
    with pytest.raises(NotFound, match="no such chat"):
        store.info("c0")
    assert store.entries("c0") == []


def test_the_file_is_private_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path / "home"})
    Database(settings).close()
    file = tmp_path / "home" / "agent" / "chats.db"
    assert file.stat().st_mode & 0o777 == 0o600
    database = Database(settings)
    with database.write() as db:
        db.exec_driver_sql("UPDATE chats_version SET version_num = '9999'")
    database.close()
    with pytest.raises(StoreError, match="a newer DRLS"):
        Database(settings)
