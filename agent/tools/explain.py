"""The tool that says why a run failed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agent.tools.call import ToolCall
from agent.tools.tool import Answer, Input, Toolset, tool
from lifecycle.domain.explanation import Explanation


class ExplainRun(Input):
    """A run."""

    run_id: str


class BadRows(BaseModel):
    """A check that failed, and the first rows that it failed on."""

    model_config = ConfigDict(frozen=True)

    check: str
    node: str
    message: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


class Explained(Answer):
    """`changed` since `last_good`: code, schema, data, tools. `todo` in order."""

    summary: str
    cause: str
    error: str | None
    step: str | None
    checks: tuple[BadRows, ...]
    last_good: str | None
    changed: tuple[str, ...]
    todo: tuple[str, ...]


@tool(Toolset.READ)
def explain_run(call: ToolCall, given: ExplainRun) -> Explained:
    """Why a run failed: error, first bad rows of a failed check, changes since the last good run, what to do."""
    found: Explanation = call.lifecycle.runs.explain(given.run_id)
    good = found.last_good
    return Explained(
        summary=found.summary,
        cause=found.cause.value,
        error=found.said,
        step=found.step,
        checks=tuple(
            BadRows(
                check=one.check,
                node=one.node,
                message=one.message if one.blocking else f"warning: {one.message}",
                columns=one.columns,
                rows=one.rows,
            )
            for one in found.checks
        ),
        last_good=f"{good.run_id}, {good.version}, ended {good.ended}" if good else None,
        changed=tuple(f"{one.kind}: {one.what}" for one in found.changed),
        todo=found.todo,
        next=found.todo[0] if found.todo else "",
    )
