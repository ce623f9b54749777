"""Tools of the first DRLS, under their old names and with their old answers. `table_history` is among `tables`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from agent.tools.call import ToolCall
from agent.tools.paging import ROOM, short
from agent.tools.schema import size
from agent.tools.tables import Name
from agent.tools.tool import Answer, Input, Toolset, tool
from lifecycle.verbs import tables

_PAGE = 500


class ListTables(Input):
    """Where to begin."""

    namespace: str = Field("", max_length=200)
    after: str = Field("", description="table to continue behind", max_length=200)


class TableNames(Answer):
    """Tables, and the namespaces that they are in."""

    namespaces: list[str]
    tables: list[str]


@tool(Toolset.DRLS1)
def list_tables(call: ToolCall, given: ListTables) -> TableNames:
    """List tables and their namespaces."""
    found = call.lifecycle.ask(
        tables.list_tables, {"namespace": given.namespace, "after": given.after, "limit": _PAGE + 1}
    )
    names: list[str] = []
    used = 0
    for one in found[:_PAGE]:
        used += size(one.name) + 1
        if used > ROOM:
            break
        names.append(one.name)
    more = len(names) < len(found)
    return TableNames(
        namespaces=list(dict.fromkeys(name.rpartition(".")[0] for name in names)),
        tables=names,
        next=f"There are more: ask again with after={names[-1]}." if more and names else "Look at one with get_table.",
    )


class OfTable(Input):
    """Which table."""

    table: Name


class Health(Answer):
    """Counts from metadata alone."""

    snapshot_count: int
    data_file_count: int
    small_file_count: int
    recommendation: str


@tool(Toolset.DRLS1)
def get_table_health(call: ToolCall, given: OfTable) -> Health:
    """Count a table's snapshots and files, and say what to do."""
    found = call.lifecycle.tables.health(given.table)
    return Health(
        snapshot_count=found.snapshot_count,
        data_file_count=found.data_file_count,
        small_file_count=found.small_file_count,
        recommendation=found.recommendation,
    )


class GetSchema(OfTable):
    """Which columns."""

    after: int = Field(0, ge=0, le=1_000_000)


class SchemaColumn(BaseModel):
    """A column."""

    name: str
    type: str
    nullable: bool


class SchemaAnswer(Answer):
    """Columns; nested fields follow as `outer.inner`."""

    columns: list[SchemaColumn]


@tool(Toolset.DRLS1)
def get_schema(call: ToolCall, given: GetSchema) -> SchemaAnswer:
    """Show a table's columns."""
    found = call.lifecycle.tables.schema(given.table, after=given.after, most=_PAGE)
    columns: list[SchemaColumn] = []
    used = 0
    for one in found.columns:
        made = SchemaColumn(name=one.name, type=short(one.type, 200), nullable=one.nullable)
        used += size(made.model_dump()) + 1
        if used > ROOM:
            break
        columns.append(made)
    shown = given.after + len(columns)
    more = shown < found.total
    return SchemaAnswer(columns=columns, next=f"There are more: ask again with after={shown}." if more else "")
