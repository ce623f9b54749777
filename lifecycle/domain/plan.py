"""A promotion plan: a value that people approve by its digest, and how two of them differ (L3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, cast

import rfc8785
from pydantic import Field

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.newer_runs import NewerRuns


class Carry(StrEnum):
    """SNAPSHOT moves refs: the run that was looked at becomes the target's. CODE deploys the version."""

    SNAPSHOT = "snapshot"
    CODE = "code"


class InputPlan(Frozen):
    """What a node read: an Iceberg table at a snapshot, or a connection or path by its fingerprint."""

    node: str
    name: str
    table_uuid: str | None = None
    ref: str | None = None
    snapshot: SnapshotId | None = None
    fingerprint: str | None = None


class TablePlan(Frozen):
    """What happens to one sink table. Code carry names the table alone: no base, no candidate.

    `seal` stands for the files that the evidence published to it (L17); None for receipts of an older DRLS.
    """

    table: str
    table_uuid: str | None = None
    base: SnapshotId | None = None
    candidate: SnapshotId | None = None
    metadata_changes: tuple[str, ...] = ()
    seal: str | None = None


class PositionPlan(Frozen):
    """Where incremental reading of `source` into `table` continues (D4); `rows` is what it would read now.

    `rows`, and the position of one that continues, move with each run and each write to the source: they are
    shown, and are no part of what is approved.
    """

    table: str
    source: str
    state: Literal["continues", "new", "lost", "reset"]
    position: SnapshotId | None = None
    rows: int | None = None


class Plan(Frozen):
    """What will go where, from which inputs, on which evidence, under which policy. All of it is approved."""

    format_version: Literal[1] = 1
    kind: Literal["promote", "rollback", "break-glass"] = "promote"
    pipeline: str
    version: int
    spec_digest: str
    source: Environment
    target: Environment
    replaces: str | None
    carry: Carry
    carry_reason: str
    session: int | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: tuple[InputPlan, ...] = ()
    tables: tuple[TablePlan, ...] = ()
    positions: tuple[PositionPlan, ...] = ()
    receipts: tuple[int, ...] = ()
    policy: int | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785) of what is approved, as `sha256:<hex>`."""
        return "sha256:" + hashlib.sha256(rfc8785.dumps(self.approved)).hexdigest()

    @property
    def approved(self) -> dict[str, Any]:
        """The plan as plain values, without what moves on its own."""
        values = self.model_dump(mode="json")
        for position in values["positions"]:
            position["rows"] = None
            if position["state"] == "continues":
                position["position"] = None
        for table in values["tables"]:
            # Plans from before there were seals keep their digest.
            if table["seal"] is None:
                del table["seal"]
        return values


class Advice(Frozen):
    """What people see next to a plan and do not approve: it may change without making the plan stale.

    `may_not` says of those whom the quorum names and who may not approve why that is so. `newer_runs` are
    those of the version since the evidence.
    """

    may_approve: tuple[str, ...] = ()
    may_not: dict[str, str] = Field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    newer_runs: NewerRuns = NewerRuns()


_NAMED_BY = {"inputs": "node", "tables": "table", "positions": "table"}


class FieldChange(Frozen):
    """One field of a plan that moved between approval and execution."""

    field: str
    approved: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field}: {_short(self.approved)} → {_short(self.now)}"


def plan_changes(approved: Plan, now: Plan) -> tuple[FieldChange, ...]:
    """What makes `approved` stale, field by field; empty exactly when the digests are equal.

    Tables, inputs and positions are compared by name: `tables[ns.t].base`, not by place.
    """
    before, after = approved.approved, now.approved
    changes: list[FieldChange] = []
    for field in before:
        changes.extend(_compare(field, before[field], after[field], _NAMED_BY.get(field)))
    return tuple(changes)


def _compare(field: str, before: Any, after: Any, named_by: str | None) -> Sequence[FieldChange]:
    if before == after:
        return ()
    if named_by is not None:
        ours, theirs = _by_name(before, named_by), _by_name(after, named_by)
        names = [*ours, *(name for name in theirs if name not in ours)]
        found = [c for name in names for c in _compare_item(f"{field}[{name}]", ours.get(name), theirs.get(name))]
        return found or (FieldChange(field=f"{field} (order)", approved=list(ours), now=list(theirs)),)
    return (FieldChange(field=field, approved=before, now=after),)


def _compare_item(field: str, before: Any, after: Any) -> Sequence[FieldChange]:
    if before is None or after is None:
        return (FieldChange(field=field, approved=before, now=after),)
    return [
        FieldChange(field=f"{field}.{key}", approved=before.get(key), now=after.get(key))
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def _by_name(items: Any, named_by: str) -> Mapping[str, Any]:
    """Items by name; a name that repeats (two sources of one table) gets its place as well."""
    found: dict[str, Any] = {}
    for item in cast("list[dict[str, Any]]", items):
        name = "/".join(str(item[part]) for part in (named_by, "source") if part in item)
        found[name if name not in found else f"{name}#{len(found)}"] = item
    return found


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
