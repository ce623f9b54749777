"""Branches and tags: made, kept for so long, dropped, put back to an ancestor, moved forward to a descendant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.altering.staged import Look, Staged
from drls_dagster.lakehouse.history import descends_from, snapshots_between
from drls_dagster.lakehouse.naming import MAIN
from drls_dagster.lakehouse.reader.finding import Found, known_refs, pin
from lifecycle.domain.evolution import DropRef, FastForward, RollBack, SetRef
from lifecycle.domain.tables import Point
from lifecycle.errors import Conflict, Invalid, NotFound, Refused

if TYPE_CHECKING:
    from pyiceberg.table.refs import SnapshotRef
    from pyiceberg.table.update import TableUpdate


def roll_back(look: Look, change: RollBack) -> Staged:
    if (change.to is None) == (change.at is None):
        raise Invalid("say what to roll back to: a snapshot or ref, or a time")
    known = _branch(look, change.ref)
    base = known.snapshot_id
    if change.to is not None:
        to = snapshot_named(look, change.to)
    else:
        there = pin(Found(look.name, look.table, change.ref), Point(at=change.at)).snapshot
        assert there is not None  # noqa: S101 (a time finds a snapshot or raises)
        to = there
    if to == base:
        return Staged(base=base, to=to)
    if not descends_from(look.table, base, to):
        raise Refused(
            f"snapshot {to} is not an ancestor of {change.ref} of {look.name} (at {base}), so it was never what "
            f"{change.ref} is now, only earlier; make a branch at it to read or keep it"
        )
    undone = tuple(one.id for one in snapshots_between(look.table, base, to))
    return Staged(
        lines=(f"move branch {change.ref} back from snapshot {base} to {to}, undoing {_count(len(undone))}",),
        warnings=("incremental readers go back to this snapshot with it (D5)",),
        base=base,
        to=to,
        undone=undone,
        updates=(refs.set_branch(look.table, change.ref, to),),
        requirements=(refs.ref_is(change.ref, base),),
    )


def fast_forward(look: Look, change: FastForward) -> Staged:
    base = _branch(look, change.ref).snapshot_id
    to = snapshot_named(look, change.to)
    if to == base:
        return Staged(base=base, to=to)
    if not descends_from(look.table, to, base):
        raise Refused(
            f"snapshot {to} does not descend from {change.ref} of {look.name} (at {base}): something else was "
            f"written to {change.ref} since they parted, and moving it would undo that"
        )
    steps = len(snapshots_between(look.table, to, base))
    return Staged(
        lines=(f"move branch {change.ref} forward from snapshot {base} to {to}, {_count(steps)}",),
        base=base,
        to=to,
        updates=(refs.set_branch(look.table, change.ref, to),),
        requirements=(refs.ref_is(change.ref, base),),
    )


def set_ref(look: Look, change: SetRef) -> Staged:
    if change.type == "tag" and (change.min_snapshots or change.max_snapshot_age_ms):
        raise Invalid("a tag keeps one snapshot: of the retention it takes max_ref_age_ms only")
    known = look.table.metadata.refs.get(change.ref)
    if known is None:
        to = snapshot_named(look, change.to or MAIN)
        text = f"make {change.type} {change.ref} at snapshot {to}"
    else:
        if known.snapshot_ref_type.value != change.type:
            raise Conflict(f"{look.name} has a {known.snapshot_ref_type.value} {change.ref}; choose another name")
        to = known.snapshot_id
        if change.to is not None and snapshot_named(look, change.to) != to:
            raise Conflict(
                f"{change.type} {change.ref} of {look.name} is at snapshot {to}; drop it first, or move a branch with "
                "roll back or fast-forward"
            )
        text = f"keep {change.type} {change.ref} at snapshot {to}"
    body = _ref_body(change, to, known)
    if known is not None and body == _ref_body(change.model_copy(update=_NO_RETENTION), to, known):
        return Staged(base=to, to=to)
    kept = ", ".join(f"{key} {body[key]:,}" for key in _KEPT.values() if key in body)
    return Staged(
        lines=(f"{text}{f', with {kept}' if kept else ''}",),
        base=known.snapshot_id if known else None,
        to=to,
        updates=(_set(body),),
        requirements=(refs.ref_is(change.ref, known.snapshot_id if known else None),),
    )


def drop_ref(look: Look, change: DropRef) -> Staged:
    known = look.table.metadata.refs.get(change.ref)
    if known is None:
        raise NotFound(f"{look.name} has no ref {change.ref!r}; it has: {known_refs(look.table)}")
    others = {one.snapshot_id for name, one in look.table.metadata.refs.items() if name != change.ref}
    only = not any(descends_from(look.table, other, known.snapshot_id) for other in sorted(others))
    gone = f"no other ref has snapshot {known.snapshot_id}: expiry may remove it from now on"
    return Staged(
        lines=(f"drop {known.snapshot_ref_type.value} {change.ref}, at snapshot {known.snapshot_id}",),
        warnings=(gone,) if only else (),
        base=known.snapshot_id,
        updates=(refs.remove_ref(change.ref),),
        requirements=(refs.ref_is(change.ref, known.snapshot_id),),
    )


def snapshot_named(look: Look, text: str) -> int:
    """The snapshot of this id, or that a ref of this name is at. Raises NotFound."""
    known = look.table.metadata.refs.get(text)
    if known is not None:
        return known.snapshot_id
    if text.isascii() and text.isdigit() and len(text) <= 19:
        if look.table.snapshot_by_id(int(text)) is not None:
            return int(text)
        raise NotFound(f"{look.name} has no snapshot {text}; drls table history lists those it has")
    if text == MAIN:
        raise Refused(f"{look.name} has no snapshot yet")
    raise NotFound(f"{look.name} has no ref {text!r}; it has: {known_refs(look.table)}")


def _branch(look: Look, ref: str) -> SnapshotRef:
    known = look.table.metadata.refs.get(ref)
    if known is None:
        raise NotFound(f"{look.name} has no branch {ref!r}; it has: {known_refs(look.table)}")
    if known.snapshot_ref_type.value != "branch":
        raise Refused(f"{ref} of {look.name} is a tag, which never moves; drop it and make it again")
    return known


_KEPT = {
    "max_ref_age_ms": "max-ref-age-ms",
    "min_snapshots": "min-snapshots-to-keep",
    "max_snapshot_age_ms": "max-snapshot-age-ms",
}
_NO_RETENTION = dict.fromkeys(_KEPT)


def _ref_body(change: SetRef, to: int, known: SnapshotRef | None) -> dict[str, Any]:
    """The ref as it becomes; retention that the change does not name stays."""
    body: dict[str, Any] = known.model_dump(by_alias=True, exclude_none=True) if known else {}
    body.update({alias: value for name, alias in _KEPT.items() if (value := getattr(change, name)) is not None})
    return {**body, "ref-name": change.ref, "type": change.type, "snapshot-id": to}


def _set(body: dict[str, Any]) -> TableUpdate:
    from pyiceberg.table.update import SetSnapshotRefUpdate

    return SetSnapshotRefUpdate.model_validate(body)


def _count(snapshots: int) -> str:
    return f"{snapshots:,} snapshot{'' if snapshots == 1 else 's'}"
