"""Proposing checks for a table from what is in it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from agent.tools.call import ToolCall
from agent.tools.paging import short
from agent.tools.schema import size
from agent.tools.tables import Name, Where
from agent.tools.tool import Answer, Input, Toolset, tool
from drls_dagster.lakehouse.names import split_name
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import ColumnStatistics, TableStatistics
from lifecycle.spec import AnyCheck, MonitorNode

_FEW_VALUES = 12
_OFTEN = 5  # rows of each value on average, so that the values are not chance
_MOST_KEYS = 5
_MOST_COLUMNS = 100
_ALMOST = 0.9  # of the rows: the estimate of distinct values is within a few percent
_OLD = timedelta(days=30)
_ROOM = 14_000
_NUMBERS = ("int", "long", "float", "double", "decimal")
_CHECK: TypeAdapter[Any] = TypeAdapter(AnyCheck)


class SuggestChecks(Input):
    """Of which table."""

    table: Name
    environment: Where = None
    columns: list[str] = Field([], max_length=_MOST_COLUMNS)


class Suggested(Answer):
    """A monitor as YAML for the pipeline file; a comment says the number behind each check."""

    yaml: str
    rows: int


@tool(Toolset.BUILD)
def suggest_checks(call: ToolCall, given: SuggestChecks) -> Suggested:
    """Propose checks for a table from what is in its columns, as a monitor for the pipeline file."""
    found = call.lifecycle.tables.statistics(
        given.table, environment=given.environment, columns=tuple(given.columns), top=_FEW_VALUES, most=_MOST_COLUMNS
    )
    keys = _keys(call, found, given.environment)
    text = monitor_of(f"{split_name(found.name)[-1]}_checks", _proposals(found, keys, datetime.now(UTC)))
    return Suggested(
        yaml=text,
        rows=found.rows,
        next="Add the monitor to nodes with an edge from the node it checks, drop what is chance, then validate."
        if text
        else "The table has no rows to learn from.",
    )


@dataclass(frozen=True)
class Proposal:
    """A check as the pipeline file has it, and the number that it rests on."""

    check: dict[str, Any]
    because: str


def monitor_of(name: str, proposals: Iterator[Proposal]) -> str:
    """A monitor node, read back by the specification's own rules; empty when nothing is proposed."""
    lines: list[str] = []
    for one in proposals:
        text = json.dumps(one.check, ensure_ascii=False)
        line = f"    - {text}  # {short(one.because, 200)}"
        if _is_right(one.check) and _is_yaml(text, one.check) and size([*lines, line]) <= _ROOM:
            lines.append(line)
    if not lines:
        return ""
    safe = re.sub(r"[^a-z0-9_]", "_", name.lower())
    identity = safe[:60] if safe[:1].isalpha() else f"c_{safe[:58]}"
    text = "\n".join((f"- id: {identity}", "  type: monitor", "  checks:", *lines, ""))
    MonitorNode.model_validate(yaml.safe_load(text)[0])
    return text


def _is_yaml(text: str, check: dict[str, Any]) -> bool:
    """JSON is YAML, but for a few characters that end a line, or may not be, in one of them alone."""
    try:
        return yaml.safe_load(text) == check
    except yaml.YAMLError:
        return False


def _is_right(check: dict[str, Any]) -> bool:
    try:
        _CHECK.validate_python(check)
    except ValidationError:
        return False  # a column whose name no pipeline file can hold
    return True


def _keys(call: ToolCall, found: TableStatistics, environment: Environment | None) -> list[str]:
    """Columns without two rows of the same value, counted exactly."""
    if found.cut or found.snapshot is None or not found.rows:
        return []
    likely = [
        one.name for one in found.columns if not one.nulls and one.distinct and one.distinct >= found.rows * _ALMOST
    ][:_MOST_KEYS]
    if not likely:
        return []
    table = ".".join(_quoted(part) for part in split_name(found.name))
    counted = ", ".join(f"count(DISTINCT {_quoted(name)})" for name in likely)
    answer = call.lifecycle.tables.query(f"SELECT count(*), {counted} FROM {table}", **_at(environment))
    rows, *distinct = answer.rows[0]
    return [name for name, count in zip(likely, distinct, strict=True) if count == rows]


def _at(environment: Environment | None) -> dict[str, Any]:
    """The statistics say under which name the table is; only its branch is left to choose."""
    governed = environment in (Environment.QA, Environment.UAT)
    return {"ref": environment.value} if governed and environment is not None else {}


def _proposals(found: TableStatistics, keys: Sequence[str], now: datetime) -> Iterator[Proposal]:
    rows = found.rows
    if not rows:
        return
    yield Proposal({"kind": "row_count", "min": max(rows // 2, 1)}, f"{rows:,} rows now")
    full = [one.name for one in found.columns if one.nulls == 0 and _is_right(_not_null(one.name))]
    if full:
        yield Proposal(_not_null(*full), f"0 of {rows:,} rows are null")
    for name in keys:
        yield Proposal({"kind": "unique", "columns": [name]}, f"{rows:,} different values in {rows:,} rows")
    for one in found.columns:
        yield from _values(one, rows)
        if one.name not in keys:
            yield from _range(one)
    yield from _freshness(found.columns, now)


def _not_null(*columns: str) -> dict[str, Any]:
    return {"kind": "not_null", "columns": list(columns)}


def _values(one: ColumnStatistics, rows: int) -> Iterator[Proposal]:
    held = rows - one.nulls
    whole = sum(each.rows for each in one.top) == held
    plain = all(isinstance(each.value, str) and "… (" not in each.value for each in one.top)
    if one.type == "string" and one.top and whole and plain and held >= _OFTEN * len(one.top):
        values = sorted(each.value for each in one.top)
        yield Proposal(
            {"kind": "accepted_values", "column": one.name, "values": values, "severity": "warn"},
            f"{len(values)} different values in {held:,} rows",
        )


def _range(one: ColumnStatistics) -> Iterator[Proposal]:
    bounds = (one.min, one.max)
    finite = all(not isinstance(bound, float) or math.isfinite(bound) for bound in bounds)
    if one.type.startswith(_NUMBERS) and None not in bounds and finite and not {"inf", "-inf"} & set(map(str, bounds)):
        yield Proposal(
            {"kind": "range", "column": one.name, "min": one.min, "max": one.max, "severity": "warn"},
            f"from {one.min} to {one.max} now",
        )


def _freshness(columns: Sequence[ColumnStatistics], now: datetime) -> Iterator[Proposal]:
    newest: list[tuple[datetime, ColumnStatistics]] = []
    for one in columns:
        if one.type.startswith(("timestamp", "date")) and isinstance(one.max, str):
            try:
                at = datetime.fromisoformat(one.max)
            except ValueError:
                continue  # a year that Python does not have
            newest.append((at if at.tzinfo else at.replace(tzinfo=UTC), one))
    newest = [(at, one) for at, one in newest if timedelta() <= now - at <= _OLD]
    if newest:
        at, one = max(newest, key=lambda pair: pair[0])
        days = max(math.ceil((now - at) * 2 / timedelta(days=1)), 1)
        yield Proposal(
            {"kind": "freshness", "column": one.name, "within": f"{days}d", "severity": "warn"},
            f"newest value {one.max}",
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
