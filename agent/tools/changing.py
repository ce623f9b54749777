"""Changes of tables by hand for agents: planned by whoever sees the table, made for a Lead who confirms."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.naming import lines
from agent.tools.proposing import KEY
from agent.tools.tables import Name
from agent.tools.tool import Answer, Effect, Input, Toolset, tool
from lifecycle.domain.environment import Environment
from lifecycle.domain.evolution import AlterPartitions, Change, TableChange
from lifecycle.verbs import evolution
from lifecycle.verbs.verb import Verb

_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)
_VERBS: dict[str, Verb[..., TableChange]] = {
    "add_column": evolution.add_column,
    "rename_column": evolution.rename_column,
    "drop_column": evolution.drop_column,
    "move_column": evolution.move_column,
    "alter_type": evolution.alter_type,
    "set_nullable": evolution.set_nullable,
    "set_doc": evolution.set_doc,
    "set_sort_order": evolution.set_sort_order,
    "roll_back": evolution.rollback,
    "set_ref": evolution.set_ref,
    "drop_ref": evolution.drop_ref,
    "fast_forward": evolution.fast_forward,
}


class ChangeTable(Input):
    """One change of a table."""

    table: Name
    environment: Environment | None = None
    change: dict[str, Any] = Field(
        description="kind: add_column (column, type), rename_column (column, to), drop_column (column), move_column "
        "(column, first or after), alter_type (column, type), set_nullable (column, nullable), set_doc (column, doc), "
        "alter_partitions (add or drop), set_sort_order (sort_by), roll_back (to or at), set_ref (ref, type, to), "
        "drop_ref (ref), fast_forward (ref, to)"
    )
    reason: str = Field("", max_length=2_000)
    plan_digest: str | None = Field(None, max_length=100)
    dry_run: bool = True
    key: str | None = KEY


class Changed(Answer):
    """`changes` is empty where the table already was like that. `refused` is filled in a dry run only."""

    done: bool
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    refused: tuple[str, ...]


class PlannedChange(Changed):
    """And what names the plan."""

    plan_digest: str


@tool(Toolset.TABLES, effect=Effect.CHANGE)
def change_table(call: ToolCall, given: ChangeTable) -> PlannedChange:
    """Plan (dry_run) or make one change of a table: columns, layout, branches, tags, rollback. Needs a Lead."""
    try:
        change = _CHANGE.validate_python(given.change)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ToolError(f"change: {where + ': ' if where else ''}{first['msg']}", hint="correct it") from None
    found = make(
        call,
        given.table,
        change,
        environment=given.environment,
        reason=given.reason,
        dry_run=given.dry_run,
        plan_digest=given.plan_digest,
        key=given.key,
    )
    return PlannedChange(**told(found, dry_run=given.dry_run), plan_digest=found.digest)


def make(
    call: ToolCall,
    table: str,
    change: Change,
    *,
    environment: Environment | None = None,
    reason: str = "",
    dry_run: bool = False,
    plan_digest: str | None = None,
    key: str | None = None,
) -> TableChange:
    """The plan; or what was made of it, once a person agreed to just this plan."""
    verb, said = _asked(change)
    planned = call.lifecycle.evolution.plan(table, change, environment=environment)
    if plan_digest not in (None, planned.digest):
        raise ToolError(f"{planned.table} or the plan is another by now", hint="plan it again")
    if dry_run:
        return planned
    if planned.lines and not planned.refused:
        if planned.governed and not reason.strip():
            raise ToolError(f"{planned.table} is production's: a change by hand needs a reason", hint="give one")
        call.confirm(f"Change {planned.table}: {'; '.join(lines(planned.lines, most=10, width=300))}?")
    where = {"name": table, "environment": environment}
    return call.lifecycle.ask(verb, {**where, **said, "reason": reason, "if_plan": planned.digest, "key": key})


def told(found: TableChange, *, dry_run: bool) -> dict[str, Any]:
    """The fields of a Changed."""
    return {
        "done": found.done,
        "changes": lines(found.lines, most=10, width=300),
        "warnings": lines(found.warnings, most=10, width=300),
        "refused": lines(found.refused, most=10, width=300),
        "next": "call again with dry_run=false to change it" if dry_run and found.lines and not found.refused else "",
    }


def _asked(change: Change) -> tuple[Verb[..., TableChange], dict[str, Any]]:
    """The verb that makes the change, and what it takes."""
    if not isinstance(change, AlterPartitions):
        return _VERBS[change.kind], change.model_dump(exclude={"kind"}, exclude_none=True)
    if not change.drop:
        return evolution.add_partition, {"fields": change.add}
    if not change.add:
        return evolution.drop_partition, {"fields": change.drop}
    if (len(change.drop), len(change.add)) != (1, 1):
        raise ToolError("several partition fields cannot be replaced at once", hint="replace one, or only add or drop")
    return evolution.replace_partition, {"field": change.drop[0], "by": change.add[0]}
