"""Tools of the first DRLS that change a table by hand, under their old names."""

from __future__ import annotations

from pydantic import Field

from agent.tools.call import ToolCall
from agent.tools.changing import Changed, make, told
from agent.tools.drls1 import OfTable
from agent.tools.proposing import KEY
from agent.tools.tool import Effect, Toolset, tool
from lifecycle.domain.evolution import AddColumn, AlterType, Change, DropColumn, RenameColumn, RollBack, make_change
from lifecycle.domain.roles import Role

Column = Field(max_length=500, description="a path, such as address.city")


class ChangeByHand(OfTable):
    """And why."""

    reason: str = Field("", max_length=2_000, description="for the audit log; production needs one")
    dry_run: bool = False
    key: str | None = KEY


class AddAColumn(ChangeByHand):
    """Which column, and its type."""

    column: str = Column
    type: str = Field(max_length=2_000, description="as in pipeline files: long, string, decimal(10,2)")
    doc: str | None = Field(None, max_length=2_000)


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.ADD)
def add_column(call: ToolCall, given: AddAColumn) -> Changed:
    """Add an optional column."""
    change = make_change(AddColumn, column=given.column, type=given.type, doc=given.doc)
    return _make(call, given, change)


class RenameAColumn(ChangeByHand):
    """Which column, and its new name."""

    column: str = Column
    new_name: str = Field(max_length=500)


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def rename_column(call: ToolCall, given: RenameAColumn) -> Changed:
    """Rename a column."""
    change = make_change(RenameColumn, column=given.column, to=given.new_name)
    return _make(call, given, change)


class DropAColumn(ChangeByHand):
    """Which column."""

    column: str = Column


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def drop_column(call: ToolCall, given: DropAColumn) -> Changed:
    """Drop a column."""
    change = make_change(DropColumn, column=given.column)
    return _make(call, given, change)


class AlterAColumn(ChangeByHand):
    """Which column, and the wider type."""

    column: str = Column
    type: str = Field(max_length=2_000, description="int to long, float to double, a decimal to more digits")


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def alter_column_type(call: ToolCall, given: AlterAColumn) -> Changed:
    """Widen the type of a column."""
    change = make_change(AlterType, column=given.column, type=given.type)
    return _make(call, given, change)


class RollTableBack(ChangeByHand):
    """Where to."""

    snapshot_id: str = Field(max_length=200, description="a snapshot of the table's past, or a ref at one")


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def rollback_to(call: ToolCall, given: RollTableBack) -> Changed:
    """Put a table back to an earlier snapshot."""
    change = make_change(RollBack, to=given.snapshot_id)
    return _make(call, given, change)


def _make(call: ToolCall, given: ChangeByHand, change: Change) -> Changed:
    found = make(call, given.table, change, reason=given.reason, dry_run=given.dry_run, key=given.key)
    return Changed(**told(found, dry_run=given.dry_run))
