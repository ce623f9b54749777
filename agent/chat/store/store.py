"""Chats as they are kept: messages, tool calls, and what they used.

A tool call is kept before it begins and again when it ends. A turn whose process died is closed by whoever looks next:
of a call without an answer the transcript says so, because nobody knows more.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError

from agent.chat import wire
from agent.chat.store.database import Database
from agent.chat.store.tables import CHATS, ENTRIES, TURNS, USES
from drls_dagster.ledger.place import Place, Worker
from lifecycle.errors import Conflict, NotFound

DEAD_SECONDS = 120.0
LOST_CALL = (
    "the process ended before the answer came, so this call may or may not have taken effect; look before repeating it"
)
LOST_TURN = (
    "The chat was interrupted: its process ended. Nothing is repeated automatically; send a message to continue."
)
_ENTRY: TypeAdapter[wire.Entry] = TypeAdapter(wire.Entry)
_AROUND = 60
_PAGE = 50
_OPEN = {wire.CallState.RUNNING, wire.CallState.ASKING}


@dataclass(frozen=True)
class Kept:
    """An entry, and what only turns need of it: `step` groups the calls of one answer of the model."""

    entry: wire.Entry
    private: dict[str, Any] = field(default_factory=dict[str, Any])


class ChatStore:
    """The chats of an installation. `place` is where this process runs; it works on turns as `worker`."""

    def __init__(self, database: Database, place: Place, worker: Worker, now: Callable[[], float] = time.time) -> None:
        self._database, self._place, self._worker, self._now = database, place, worker, now

    def close(self) -> None:
        self._database.close()

    # Chats.

    def begin(self, owner: str, model: str, title: str, about: wire.About | None) -> str:
        """A new chat; its id."""
        name, now = f"c{secrets.token_hex(8)}", self._now()
        row = {"id": name, "owner": owner, "title": title, "model": model, "created_at": now, "updated_at": now}
        row |= {"about_kind": about.kind, "about_name": about.name} if about else {}
        with self._database.write() as db:
            db.execute(sa.insert(CHATS).values(row))
        return name

    def change(self, chat: str, **values: str) -> None:
        """Sets the title or the model."""
        if values:
            with self._database.write() as db:
                db.execute(sa.update(CHATS).where(CHATS.c.id == chat).values(**values))

    def info(self, chat: str) -> wire.ChatInfo:
        """Raises NotFound."""
        self._close_dead(chat)
        with self._database.read() as db:
            row = db.execute(sa.select(CHATS).where(CHATS.c.id == chat)).mappings().first()
            if row is None:
                raise NotFound("there is no such chat")
            return self._info(db, row)

    def list(self, owner: str | None, search: str = "", before: str | None = None, limit: int = _PAGE) -> wire.ChatPage:
        """The chats of `owner` (None: of everybody) in which all words of `search` occur, the last used first."""
        query = sa.select(CHATS).order_by(CHATS.c.updated_at.desc(), CHATS.c.id.desc()).limit(limit + 1)
        if owner is not None:
            query = query.where(CHATS.c.owner == owner)
        for word in search.casefold().split():
            query = query.where(_mentions(word))
        if before is not None:
            at, _, name = before.partition("_")
            query = query.where(
                sa.tuple_(CHATS.c.updated_at, CHATS.c.id) < sa.tuple_(sa.literal(float(at)), sa.literal(name))
            )
        with self._database.read() as db:
            rows = db.execute(query).mappings().all()
            items = tuple(self._info(db, row) for row in rows[:limit])
            found = tuple(_around(db, row["id"], search) for row in rows[:limit]) if search.split() else ()
        last = rows[limit - 1] if len(rows) > limit else None
        return wire.ChatPage(
            items=items, found=found, next=f"{last['updated_at']!r}_{last['id']}" if last is not None else None
        )

    def _info(self, db: sa.Connection, row: Any) -> wire.ChatInfo:
        about = wire.About(kind=row["about_kind"], name=row["about_name"]) if row["about_kind"] else None
        return wire.ChatInfo(
            id=row["id"],
            title=row["title"],
            model=row["model"],
            owner=row["owner"],
            about=about,
            state=_state(db, row["id"]),
            created_at=_moment(row["created_at"]),
            updated_at=_moment(row["updated_at"]),
            usage=_used(db, USES.c.chat == row["id"]),
        )

    # Entries.

    def entries(self, chat: str, before: int | None = None, limit: int | None = None) -> Sequence[Kept]:
        """The newest entries before `before`, oldest first; all of them without `limit`."""
        query = sa.select(ENTRIES).where(ENTRIES.c.chat == chat).order_by(ENTRIES.c.id.desc())
        query = query if before is None else query.where(ENTRIES.c.id < before)
        query = query if limit is None else query.limit(limit)
        with self._database.read() as db:
            rows = db.execute(query).mappings().all()
        return [Kept(_ENTRY.validate_json(row["content"]), json.loads(row["private"])) for row in reversed(rows)]

    def add(self, chat: str, entry: Callable[[int, datetime], wire.Entry], **private: Any) -> wire.Entry:
        """Adds an entry, made from its number and the time."""
        with self._database.write() as db:
            return self._add(db, chat, entry, private)

    def put(self, chat: str, entry: wire.Entry) -> None:
        """An entry that changed."""
        values = {"content": entry.model_dump_json(), "words": _words(entry)}
        where = (ENTRIES.c.chat == chat) & (ENTRIES.c.id == entry.id)
        with self._database.write() as db:
            db.execute(sa.update(ENTRIES).where(where).values(values))

    def remove(self, chat: str, entry: int) -> None:
        """An answer that the model began and broke off: it does not count."""
        with self._database.write() as db:
            db.execute(sa.delete(ENTRIES).where((ENTRIES.c.chat == chat) & (ENTRIES.c.id == entry)))

    def _add(
        self, db: sa.Connection, chat: str, make: Callable[[int, datetime], wire.Entry], private: dict[str, Any]
    ) -> wire.Entry:
        last = db.scalar(sa.select(sa.func.max(ENTRIES.c.id)).where(ENTRIES.c.chat == chat)) or 0
        now = self._now()
        entry = make(last + 1, _moment(now))
        row = {"chat": chat, "id": entry.id, "kind": entry.kind, "content": entry.model_dump_json()}
        db.execute(sa.insert(ENTRIES).values(**row, private=json.dumps(private), words=_words(entry)))
        db.execute(sa.update(CHATS).where(CHATS.c.id == chat).values(updated_at=now))
        return entry

    # Turns.

    def open_turn(self, chat: str, text: str, key: str | None) -> tuple[wire.Said, bool]:
        """The person's message, and whether it begins a turn: not when `key` already did.

        Raises Conflict while another turn runs.
        """
        self._close_dead(chat)
        try:
            with self._database.write() as db:
                if key is not None and (before := _turn_of(db, chat, key)) is not None:
                    return before, False
                db.execute(sa.select(CHATS.c.id).where(CHATS.c.id == chat).with_for_update())
                if _running(db, chat) is not None:
                    raise Conflict("this chat is still at work; wait for it, or stop it")
                said = self._add(db, chat, lambda number, at: wire.Said(id=number, at=at, text=text), {})
                row = {"chat": chat, "entry": said.id, "message_key": key, "beat_at": self._now()}
                worker = {"place": self._worker.place, "host": self._worker.host, "pid": self._worker.pid}
                db.execute(sa.insert(TURNS).values(**row, **worker, created=self._worker.created))
        except IntegrityError:
            raise Conflict("this chat is still at work; wait for it, or stop it") from None
        assert isinstance(said, wire.Said)  # noqa: S101 (it was made above)
        return said, True

    def beat(self, chat: str, turn: int) -> None:
        """This process still works on the turn."""
        where = (TURNS.c.chat == chat) & (TURNS.c.entry == turn)
        with self._database.write() as db:
            db.execute(sa.update(TURNS).where(where).values(beat_at=self._now()))

    def close_turn(self, chat: str, turn: int) -> None:
        """The work on it is over."""
        where = (TURNS.c.chat == chat) & (TURNS.c.entry == turn)
        with self._database.write() as db:
            _leave_nothing_open(db, chat, turn)
            db.execute(sa.update(TURNS).where(where).values(ended_at=self._now()))

    def close_dead(self) -> None:
        """Closes every turn whose process died."""
        with self._database.read() as db:
            chats = db.scalars(sa.select(TURNS.c.chat).where(TURNS.c.ended_at.is_(None))).all()
        for chat in chats:
            self._close_dead(chat)

    def _close_dead(self, chat: str) -> None:
        with self._database.read() as db:
            turn = _running(db, chat)
        if turn is None or not self._is_dead(turn):
            return
        with self._database.write() as db:
            db.execute(sa.select(CHATS.c.id).where(CHATS.c.id == chat).with_for_update())
            turn = _running(db, chat)
            if turn is None or not self._is_dead(turn):
                return
            _leave_nothing_open(db, chat, turn["entry"])
            self._add(db, chat, lambda number, at: wire.Note(id=number, at=at, text=LOST_TURN, is_problem=True), {})
            where = (TURNS.c.chat == chat) & (TURNS.c.entry == turn["entry"])
            db.execute(sa.update(TURNS).where(where).values(ended_at=self._now()))

    def _is_dead(self, turn: Any) -> bool:
        gone = self._place.is_gone(turn["place"], turn["host"], turn["pid"], turn["created"])
        return gone if gone is not None else self._now() - turn["beat_at"] > DEAD_SECONDS

    # What it took.

    def spend(
        self,
        chat: str,
        turn: int,
        owner: str,
        *,
        model: str,
        tokens: int = 0,
        money: float | None = 0.0,
        steps: int = 0,
        seconds: float = 0.0,
    ) -> None:
        row = {"chat": chat, "entry": turn, "owner": owner, "day": self.today, "model": model, "tokens": tokens}
        with self._database.write() as db:
            db.execute(sa.insert(USES).values(**row, money=money, steps=steps, seconds=seconds))

    def used(
        self, *, chat: str | None = None, turn: int | None = None, owner: str | None = None, day: str | None = None
    ) -> wire.Usage:
        """What was used in all, by what is given."""
        given = ((USES.c.chat, chat), (USES.c.entry, turn), (USES.c.owner, owner), (USES.c.day, day))
        where = sa.and_(sa.true(), *(column == value for column, value in given if value is not None))
        with self._database.read() as db:
            return _used(db, where)

    @property
    def today(self) -> str:
        """The day in UTC."""
        return _moment(self._now()).date().isoformat()


def _leave_nothing_open(db: sa.Connection, chat: str, turn: int) -> None:
    """Of what a turn left half done, the transcript says what is known."""
    rows = db.execute(sa.select(ENTRIES).where((ENTRIES.c.chat == chat) & (ENTRIES.c.id > turn))).mappings().all()
    for row in rows:
        entry = _ENTRY.validate_json(row["content"])
        if isinstance(entry, wire.ToolEntry) and entry.state in _OPEN:
            asked = entry.state is wire.CallState.ASKING
            told = {
                "state": wire.CallState.STOPPED if asked else wire.CallState.UNKNOWN,
                "error": "the process ended before anybody agreed; nothing was changed" if asked else LOST_CALL,
                "question": None,
            }
            entry = entry.model_copy(update=told)
        elif isinstance(entry, wire.Reply) and not entry.done:
            entry = entry.model_copy(update={"done": True})
        else:
            continue
        where = (ENTRIES.c.chat == chat) & (ENTRIES.c.id == entry.id)
        db.execute(sa.update(ENTRIES).where(where).values(content=entry.model_dump_json(), words=_words(entry)))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _used(db: sa.Connection, where: Any) -> wire.Usage:
    total = sa.func.sum
    unpriced = total(sa.case((USES.c.money.is_(None), 1), else_=0))
    row = db.execute(
        sa.select(
            total(USES.c.tokens), total(USES.c.money), total(USES.c.steps), total(USES.c.seconds), unpriced
        ).where(where)
    ).one()
    return wire.Usage(
        tokens=row[0] or 0, money=None if row[4] else row[1] or 0.0, steps=row[2] or 0, seconds=row[3] or 0.0
    )


def _state(db: sa.Connection, chat: str) -> wire.ChatState:
    if _running(db, chat) is None:
        return wire.ChatState.IDLE
    last = db.execute(
        sa.select(ENTRIES.c.content)
        .where((ENTRIES.c.chat == chat) & (ENTRIES.c.kind == "call"))
        .order_by(ENTRIES.c.id.desc())
        .limit(20)
    ).scalars()
    asking = any(_ENTRY.validate_json(one).state is wire.CallState.ASKING for one in last)  # type: ignore[union-attr]
    return wire.ChatState.ASKING if asking else wire.ChatState.WORKING


def _running(db: sa.Connection, chat: str) -> Any:
    query = sa.select(TURNS).where((TURNS.c.chat == chat) & TURNS.c.ended_at.is_(None))
    return db.execute(query).mappings().first()


def _turn_of(db: sa.Connection, chat: str, key: str) -> wire.Said | None:
    entry = db.scalar(sa.select(TURNS.c.entry).where((TURNS.c.chat == chat) & (TURNS.c.message_key == key)))
    if entry is None:
        return None
    where = (ENTRIES.c.chat == chat) & (ENTRIES.c.id == entry)
    return wire.Said.model_validate_json(db.execute(sa.select(ENTRIES.c.content).where(where)).scalar_one())


def _words(entry: wire.Entry) -> str:
    """What a search looks at."""
    match entry:
        case wire.ToolEntry():
            shown = (
                entry.tool,
                entry.title,
                json.dumps(entry.arguments, ensure_ascii=False),
                entry.output,
                entry.error,
            )
            return "\n".join(shown).casefold()
        case _:
            return entry.text.casefold()


def _mentions(word: str) -> sa.ColumnElement[bool]:
    inside = sa.select(ENTRIES.c.id).where(
        (ENTRIES.c.chat == CHATS.c.id) & ENTRIES.c.words.contains(word, autoescape=True)
    )
    return sa.func.lower(CHATS.c.title).contains(word, autoescape=True) | inside.exists()


def _around(db: sa.Connection, chat: str, search: str) -> str:
    """The text around the first place where the first word of the search occurs."""
    word = search.casefold().split()[0]
    where = (ENTRIES.c.chat == chat) & ENTRIES.c.words.contains(word, autoescape=True)
    text = db.execute(sa.select(ENTRIES.c.words).where(where).order_by(ENTRIES.c.id.desc()).limit(1)).scalar()
    if text is None:
        return ""
    at = text.find(word)
    return " ".join(text[max(0, at - _AROUND) : at + len(word) + _AROUND].split())
