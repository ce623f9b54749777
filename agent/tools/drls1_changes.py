"""Tools of the first DRLS that change a table by hand, under their old names."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from agent.tools.call import ToolCall
from agent.tools.drls1 import OfTable
from agent.tools.naming import lines
from agent.tools.proposing import KEY
from agent.tools.tool import Answer, Effect, Toolset, tool
from lifecycle.domain.evolution import (
    AddColumn,
    AlterType,
    Change,
    DropColumn,
    RenameColumn,
    RollBack,
    TableChange,
    make_change,
)
from lifecycle.domain.roles import Role

Column = Field(max_length=500, description="a path, such as address.city")


class ChangeTable(OfTable):
    """And why."""

    reason: str = Field("", max_length=2_000, description="for the audit log; production needs one")
    dry_run: bool = False
    key: str | None = KEY


class Changed(Answer):
    """`changes` is empty where the table already was like that. `refused` is filled in a dry run only."""

    done: bool
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    refused: tuple[str, ...]


class AddAColumn(ChangeTable):
    """Which column, and its type."""

    column: str = Column
    type: str = Field(max_length=2_000, description="as in pipeline files: long, string, decimal(10,2)")
    doc: str | None = Field(None, max_length=2_000)


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.ADD)
def add_column(call: ToolCall, given: AddAColumn) -> Changed:
    """Add an optional column to a table."""
    change = make_change(AddColumn, column=given.column, type=given.type, doc=given.doc)
    return _make(
        call,
        given,
        change,
        lambda: call.lifecycle.evolution.add_column(
            given.table, given.column, given.type, doc=given.doc, reason=given.reason, key=given.key
        ),
    )


class RenameAColumn(ChangeTable):
    """Which column, and its new name."""

    column: str = Column
    new_name: str = Field(max_length=500)


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def rename_column(call: ToolCall, given: RenameAColumn) -> Changed:
    """Rename a column that no deployed version uses under its old name."""
    change = make_change(RenameColumn, column=given.column, to=given.new_name)
    return _make(
        call,
        given,
        change,
        lambda: call.lifecycle.evolution.rename_column(
            given.table, given.column, given.new_name, reason=given.reason, key=given.key
        ),
    )


class DropAColumn(ChangeTable):
    """Which column."""

    column: str = Column


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def drop_column(call: ToolCall, given: DropAColumn) -> Changed:
    """Drop a column that no deployed version uses."""
    change = make_change(DropColumn, column=given.column)
    return _make(
        call,
        given,
        change,
        lambda: call.lifecycle.evolution.drop_column(given.table, given.column, reason=given.reason, key=given.key),
    )


class AlterAColumn(ChangeTable):
    """Which column, and the wider type."""

    column: str = Column
    type: str = Field(max_length=2_000, description="int to long, float to double, a decimal to more digits")


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def alter_column_type(call: ToolCall, given: AlterAColumn) -> Changed:
    """Widen the type of a column."""
    change = make_change(AlterType, column=given.column, type=given.type)
    return _make(
        call,
        given,
        change,
        lambda: call.lifecycle.evolution.alter_type(
            given.table, given.column, given.type, reason=given.reason, key=given.key
        ),
    )


class RollTableBack(ChangeTable):
    """Where to."""

    snapshot_id: str = Field(max_length=200, description="a snapshot of the table's past, or a ref at one")


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def rollback_to(call: ToolCall, given: RollTableBack) -> Changed:
    """Put a table back to an earlier snapshot. Production's tables go back with their release only."""
    change = make_change(RollBack, to=given.snapshot_id)
    return _make(
        call,
        given,
        change,
        lambda: call.lifecycle.evolution.rollback(
            given.table, to=given.snapshot_id, reason=given.reason, key=given.key
        ),
    )


def _make(call: ToolCall, given: ChangeTable, change: Change, act: Callable[[], TableChange]) -> Changed:
    found = call.lifecycle.evolution.plan(given.table, change)
    if not given.dry_run:
        if found.lines and not found.refused:
            call.confirm(f"Change {found.table}: {'; '.join(found.lines)}?")
        found = act()
    return Changed(
        done=found.done,
        changes=lines(found.lines, most=10, width=300),
        warnings=lines(found.warnings, most=10, width=300),
        refused=lines(found.refused, most=10, width=300),
        next="call again with dry_run=false to change it" if given.dry_run and not found.refused else "",
    )
