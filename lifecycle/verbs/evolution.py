"""Evolution: changes of tables by hand, and what differs between their snapshots."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MinLen
from pydantic import AwareDatetime

from lifecycle.domain import evolution as model
from lifecycle.domain.environment import Environment
from lifecycle.domain.evolution import Change, SnapshotDiff, TableChange, make_change
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Invalid
from lifecycle.usecases.change_table import change_table, plan_change
from lifecycle.usecases.diff_table import diff_table
from lifecycle.verbs.inputs import Digest, InQuery, Key, SeenName, Text
from lifecycle.verbs.verb import Call, answers

Fields = Annotated[model.Layout, MinLen(1)]
From = Annotated[model.Place | None, InQuery("from")]
RefType = Literal["branch", "tag"]
To = Annotated[model.Place | None, InQuery("to")]


@answers(TableChange)
def plan(
    call: Call,
    name: SeenName,
    change: Change,
    *,
    environment: Environment | None = None,
    accept_untraced: bool = False,
) -> TableChange:
    """What a change would do to the table, what refuses it, and which deployed versions use the column."""
    at = TableAt(name=name, environment=environment)
    return plan_change(call.ctx, call.who, at, change, accept_untraced=accept_untraced)


@answers(TableChange)
def add_column(
    call: Call,
    name: SeenName,
    column: model.Path,
    type: model.TypeText,
    *,
    doc: model.Doc | None = None,
    first: bool = False,
    after: model.Path | None = None,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Adds an optional column; `address.zip` adds a field to the struct `address`. Types as in pipeline files."""
    change = make_change(model.AddColumn, column=column, type=type, doc=doc, first=first, after=after)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def rename_column(
    call: Call,
    name: SeenName,
    column: model.Path,
    to: model.Path,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    accept_untraced: bool = False,
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Renames a column; refused while a deployed version uses it under the old name."""
    change = make_change(model.RenameColumn, column=column, to=to)
    return _make(call, name, environment, change, reason, if_plan, key, accept_untraced=accept_untraced)


@answers(TableChange)
def drop_column(
    call: Call,
    name: SeenName,
    column: model.Path,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    accept_untraced: bool = False,
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Drops a column; refused while a deployed version uses it. `accept_untraced`: code that is no SQL does not."""
    change = make_change(model.DropColumn, column=column)
    return _make(call, name, environment, change, reason, if_plan, key, accept_untraced=accept_untraced)


@answers(TableChange)
def move_column(
    call: Call,
    name: SeenName,
    column: model.Path,
    *,
    first: bool = False,
    after: model.Path | None = None,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Moves a column to the first place, or behind another one of its level."""
    change = make_change(model.MoveColumn, column=column, first=first, after=after)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def alter_type(
    call: Call,
    name: SeenName,
    column: model.Path,
    type: model.TypeText,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Widens a column: int to long, float to double, a decimal to more digits."""
    change = make_change(model.AlterType, column=column, type=type)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def set_nullable(
    call: Call,
    name: SeenName,
    column: model.Path,
    nullable: bool,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Makes a column optional, or required where the metadata of all files proves that it has no null."""
    change = make_change(model.SetNullable, column=column, nullable=nullable)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def set_doc(
    call: Call,
    name: SeenName,
    column: model.Path,
    doc: model.Doc,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Sets the description of a column; an empty one removes it."""
    change = make_change(model.SetDoc, column=column, doc=doc)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def add_partition(
    call: Call,
    name: SeenName,
    fields: Fields,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Adds partition fields, such as `region`, `day(at)` or `bucket(16, id)`."""
    change = make_change(model.AlterPartitions, add=fields)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def drop_partition(
    call: Call,
    name: SeenName,
    fields: Fields,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Drops partition fields."""
    change = make_change(model.AlterPartitions, drop=fields)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def replace_partition(
    call: Call,
    name: SeenName,
    field: model.Path,
    by: model.Path,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Replaces a partition field by another one, in one commit."""
    change = make_change(model.AlterPartitions, drop=(field,), add=(by,))
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def set_sort_order(
    call: Call,
    name: SeenName,
    sort_by: model.Layout,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Sets the sort order for files that are written from now on; no columns remove it."""
    change = make_change(model.SetSortOrder, sort_by=sort_by)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def rollback(
    call: Call,
    name: SeenName,
    *,
    to: model.Place | None = None,
    at: AwareDatetime | None = None,
    ref: model.RefName = "main",
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Puts a branch back to an ancestor of its head: a snapshot, a ref, or what it was at a time."""
    if (to is None) == (at is None):
        raise Invalid("say what to roll back to: a snapshot or ref (to), or a time (at)")
    change = make_change(model.RollBack, ref=ref, to=to, at=at)
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def set_ref(
    call: Call,
    name: SeenName,
    ref: model.RefName,
    type: RefType,
    *,
    to: model.Place | None = None,
    max_ref_age_ms: model.Milliseconds | None = None,
    min_snapshots: model.Keep | None = None,
    max_snapshot_age_ms: model.Milliseconds | None = None,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Makes a branch or tag at a snapshot or ref, by default the head of main; or changes how long it is kept."""
    change = make_change(
        model.SetRef,
        ref=ref,
        type=type,
        to=to,
        max_ref_age_ms=max_ref_age_ms,
        min_snapshots=min_snapshots,
        max_snapshot_age_ms=max_snapshot_age_ms,
    )
    return _make(call, name, environment, change, reason, if_plan, key)


@answers(TableChange)
def drop_ref(
    call: Call,
    name: SeenName,
    ref: model.RefName,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Drops a branch or tag."""
    return _make(call, name, environment, make_change(model.DropRef, ref=ref), reason, if_plan, key)


@answers(TableChange)
def fast_forward(
    call: Call,
    name: SeenName,
    ref: model.RefName,
    to: model.Place,
    *,
    environment: Environment | None = None,
    reason: Text = "",
    if_plan: Digest | None = None,
    key: Key = None,
) -> TableChange:
    """Moves a branch forward to a snapshot or ref that descends from its head."""
    return _make(call, name, environment, make_change(model.FastForward, ref=ref, to=to), reason, if_plan, key)


@answers(SnapshotDiff)
def diff(
    call: Call,
    name: SeenName,
    *,
    before: From = None,
    after: To = None,
    environment: Environment | None = None,
    rows: bool = False,
    again: bool = False,
) -> SnapshotDiff:
    """What differs between two snapshots or refs: columns, files, and with `rows` the rows, once they are compared.

    By default the newest snapshot with the one before it. `again` tries a comparison of rows that failed again.
    """
    at = TableAt(name=name, environment=environment)
    return diff_table(call.ctx, call.who, at, before, after, rows=rows, again=again)


def _make(
    call: Call,
    name: str,
    environment: Environment | None,
    change: Change,
    reason: str,
    if_plan: str | None,
    key: str | None,
    *,
    accept_untraced: bool = False,
) -> TableChange:
    return change_table(
        call.ctx,
        call.who,
        TableAt(name=name, environment=environment),
        change,
        reason=reason,
        accept_untraced=accept_untraced,
        if_plan=if_plan,
        key=key,
    )
