"""What an audit entry is and how entries hang together.

Each entry's hash covers the log's identity, its own content and the hash before it, so that no
entry can be changed, taken out or moved without every later hash becoming wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import rfc8785
from pydantic import Field, field_validator

from lifecycle.domain.model import Frozen

Changes = dict[str, tuple[str | None, str | None]]


class Event(Frozen):
    """What a verb tells the audit log: `subject` is `kind:id`, `body` is JSON.

    `actor` is whoever did it, where that is not who gave the command.
    """

    verb: str
    subject: str
    body: dict[str, Any] = Field(default_factory=dict)
    actor: dict[str, Any] | None = None
    rows: Changes = Field(default_factory=dict)


class Entry(Frozen):
    """An event with its place in the chain. Hashes are lower-case hexadecimal SHA-256.

    `rows` are the rows that it changed: `table:key` with the digests of what the row was and became (None: not there).
    Entries of DRLS 0.1.0 have none.
    """

    sequence: int
    at: datetime
    actor: dict[str, Any]
    verb: str
    subject: str
    body: dict[str, Any]
    previous: str
    hash: str
    rows: Changes = Field(default_factory=dict)

    @field_validator("rows", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return {} if value is None else value

    def expected_hash(self, log: str) -> str:
        """The hash that this content has in the log with the identity `log`."""
        content: dict[str, Any] = {
            "log": log,
            "sequence": self.sequence,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": self.actor,
            "verb": self.verb,
            "subject": self.subject,
            "body": self.body,
            "previous": self.previous,
        }
        if self.rows:
            content["rows"] = {name: list(change) for name, change in self.rows.items()}
        return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


class Head(Frozen):
    """How far a log has come, signed with Ed25519; also what is anchored outside."""

    log: str
    sequence: int
    hash: str
    key_id: str
    signature: str

    @property
    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        content = {"log": self.log, "sequence": self.sequence, "hash": self.hash, "type": "drls-audit-head"}
        return rfc8785.dumps(content)


# An entry with this verb says that the head it follows was not signed by the key that signs now; `body` has that head.
UNKNOWN_HEAD = "audit.unknown_head"


def genesis(log: str) -> Head:
    """The unsigned head of a log without entries; its hash is what the first entry follows."""
    start = hashlib.sha256(f"drls-audit:{log}".encode()).hexdigest()
    return Head(log=log, sequence=0, hash=start, key_id="", signature="")


def chain(head: Head, at: datetime, actor: dict[str, Any], events: Sequence[Event]) -> tuple[Entry, ...]:
    """The entries for `events`, following `head`."""
    entries: list[Entry] = []
    previous = head.hash
    for sequence, event in enumerate(events, start=head.sequence + 1):
        entry = Entry(
            sequence=sequence,
            at=at,
            actor=actor if event.actor is None else event.actor,
            verb=event.verb,
            subject=event.subject,
            body=event.body,
            previous=previous,
            hash="",
            rows=event.rows,
        )
        previous = entry.expected_hash(head.log)
        entries.append(entry.model_copy(update={"hash": previous}))
    return tuple(entries)
