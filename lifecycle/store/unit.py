"""A unit of work: every repository on one transaction, the audit events, and the idempotency key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import Any, TypeVar

import rfc8785
from pydantic import BaseModel
from sqlalchemy import select

from lifecycle.audit.chain import Changes, Event
from lifecycle.domain.people import Actor
from lifecycle.errors import Conflict
from lifecycle.store.governed import digest_of
from lifecycle.store.repositories.audit_log import AuditLog
from lifecycle.store.repositories.code import Code
from lifecycle.store.repositories.deployments import Deployments
from lifecycle.store.repositories.figures import Figures
from lifecycle.store.repositories.gate import Gate
from lifecycle.store.repositories.lists import Lists
from lifecycle.store.repositories.outbox import Outbox
from lifecycle.store.repositories.overview import Overview
from lifecycle.store.repositories.people import People
from lifecycle.store.repositories.pipelines import Pipelines
from lifecycle.store.repositories.policies import Policies
from lifecycle.store.repositories.promotions import Promotions
from lifecycle.store.repositories.runs import Runs
from lifecycle.store.repositories.seals import Seals
from lifecycle.store.repositories.settings import Settings
from lifecycle.store.tables_people import DoneRow
from lifecycle.store.tx import Tx

Answer = TypeVar("Answer", bound=BaseModel)
T = TypeVar("T")


class View:
    """A consistent picture of the store; writing through it fails."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.now = tx.now
        self.pipelines = Pipelines(tx)
        self.code = Code(tx)
        self.deployments = Deployments(tx)
        self.promotions = Promotions(tx)
        self.lists = Lists(tx)
        self.runs = Runs(tx)
        self.seals = Seals(tx)
        self.policies = Policies(tx)
        self.people = People(tx)
        self.settings = Settings(tx)
        self.gate = Gate(tx)
        self.outbox = Outbox(tx)
        self.log = AuditLog(tx)
        self.overview = Overview(tx)
        self.figures = Figures(tx)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` concludes from this picture alone, and not from the time; nobody changes it."""
        return self._tx.once(key, make)

    def answered(
        self, actor: Actor, verb: str, key: str | None, command: dict[str, Any], answer: type[Answer]
    ) -> Answer | None:
        """What this keyed command answered when it was given before, or None.

        Raises Conflict when the key was used for another command.
        """
        if key is None:
            return None
        query = select(DoneRow.verb, DoneRow.command, DoneRow.answer).where(
            DoneRow.actor == actor.idempotency, DoneRow.key == key
        )
        rows = self._tx.tuples(query)
        if not rows:
            return None
        known, digest, given = rows[0]
        if (known, digest) != (verb, _digest(command)):
            raise Conflict(f"the idempotency key {key!r} was used for another {known}; use a new key")
        return answer.model_validate(given)


class Unit(View):
    """One write: all of it commits together with its audit events, or nothing does."""

    def __init__(self, tx: Tx, actor: Actor, verb: str, key: str | None, command: dict[str, Any]) -> None:
        super().__init__(tx)
        self._verb = verb
        self._key = key
        self._command = command
        self.actor = actor
        self.events: list[Event] = []
        # By the name of a changed row the position of the event that says so.
        self._said_by: dict[str, int] = {}
        self._acting: Actor | None = None

    @property
    def changed(self) -> bool:
        return self._tx.changed

    def audit(self, verb: str, subject: str, **body: Any) -> None:
        """Says what happened; written with everything else at commit."""
        by = None if self._acting is None else self._acting.audited
        # What changed since the event before; rows that change after the last one belong to that.
        self._said_by.update(dict.fromkeys(self._tx.untold(), len(self.events)))
        self.events.append(Event(verb=verb, subject=subject, body=body, actor=by))

    def told(self) -> list[Event]:
        """The events, each with the digests of the rows that it changed; every row with its last one."""
        self._said_by.update(dict.fromkeys(self._tx.untold(), len(self.events) - 1))
        rows: list[Changes] = [{} for _ in self.events]
        for name, position in sorted(self._said_by.items()):
            changed = self._tx.rows[name]
            before, after = (None if row is None else digest_of(changed.table, dict(row)) for row in changed[1:])
            rows[position][name] = (before, after)
        return [
            event.model_copy(update={"rows": named}) if named else event
            for event, named in zip(self.events, rows, strict=True)
        ]

    @contextmanager
    def acting(self, actor: Actor) -> Generator[None]:
        """What happens meanwhile is audited as done by `actor`: what follows from a command is not its giver's act."""
        self._acting = actor
        try:
            yield
        finally:
            self._acting = None

    def earlier(self, answer: type[Answer]) -> Answer | None:
        """What this keyed command answered when it was given before, or None.

        Raises Conflict when the key was used for another command.
        """
        return self.answered(self.actor, self._verb, self._key, self._command, answer)

    def remember(self, answer: Answer) -> Answer:
        """Keeps the answer, to give it again when the same keyed command is repeated."""
        if self._key is not None:
            self._tx.insert(
                DoneRow,
                actor=self.actor.idempotency,
                key=self._key,
                verb=self._verb,
                command=_digest(self._command),
                answer=answer.model_dump(mode="json"),
                at=self.now,
            )
        return answer


def _digest(command: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(command)).hexdigest()
