"""What a run's events say, short: checks, tables, the error, and the log by pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from agent.tools import run_queries as ask
from agent.tools.call import Dagster
from agent.tools.dagster import one_line
from agent.tools.errors import ToolError
from agent.tools.schema import size

Level = Literal["error", "warning", "info", "debug"]
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_ROOM = 12_000  # bytes of a page of the log
_MOST_PAGES = 25  # of events that are looked through for one answer
_MOST_LINES = 60


def summary(dagster: Dagster, run: Mapping[str, Any]) -> dict[str, Any]:
    """Steps with their times, checks, what was published, and the first error."""
    checks: list[str] = []
    published: list[str] = []
    errors: list[str] = []
    for number, (events, _, _) in enumerate(ask.events_of(dagster, run["runId"])):
        for event in events:
            if event["__typename"] == "AssetCheckEvaluationEvent":
                checks.append(_check(event["evaluation"]))
            elif event["__typename"] == "MaterializationEvent":
                published += _table(event)
            elif event["__typename"] in ("ExecutionStepFailureEvent", "RunFailureEvent"):
                errors.append(_error(event))
        if number >= _MOST_PAGES:
            break
    failed = [one for one in checks if ": failed" in one]
    passed = [one for one in checks if ": failed" not in one]
    return {
        "steps": _cut([_step(one) for one in run["stepStats"]]),
        "checks": _cut([*failed, *passed]),
        "published": _cut(published),
        "error": errors[0] if errors else None,
    }


def log_page(dagster: Dagster, run_id: str, level: Level, cursor: str | None) -> tuple[list[str], str | None]:
    """A page of the log, and the cursor of the next; None at its end."""
    least = _LEVELS.index(level.upper())
    before, _, passed = (cursor or "").rpartition("@")
    if cursor and not passed.isdecimal():
        raise ToolError("this cursor is not one of get_run", hint="leave it out to begin again")
    lines: list[str] = []
    used = 0
    skip, start = int(passed or 0), before or None
    for number, (events, following, more) in enumerate(ask.events_of(dagster, run_id, start)):
        for place, event in enumerate(events):
            if place < skip or _LEVELS.index(event.get("level") or "DEBUG") < least:
                continue
            line = _line(event)
            used += size(line) + 1
            if lines and used > LOG_ROOM:
                return lines, f"{start or ''}@{place}"
            lines.append(line)
        skip, start = 0, following
        if more and number >= _MOST_PAGES:
            return lines, f"{start}@0"
    return lines, None


def _line(event: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(float(event["timestamp"]) / 1000, UTC).strftime("%H:%M:%S")
    where = f" {event['stepKey']}" if event.get("stepKey") else ""
    error = (event.get("error") or {}).get("message") or ""
    message = event["message"] if not error or error in event["message"] else f"{event['message']} {error}"
    return f"{at} {event['level']}{where}: {one_line(message)}"


def _error(event: Mapping[str, Any]) -> str:
    told = (event.get("error") or {}).get("message") or event["message"]
    where = f"{event['stepKey']}: " if event.get("stepKey") else ""
    return where + one_line(told.removeprefix("dagster._core.definitions.events.Failure: "))


def _check(found: Mapping[str, Any]) -> str:
    state = "passed" if found["success"] else "failed" if found["severity"] == "ERROR" else "failed (a warning)"
    told = one_line(found.get("description") or "", 200)
    return f"{found['assetKey']['path'][-1]}.{found['checkName']}: {state}; {told}".rstrip("; ")


def _table(event: Mapping[str, Any]) -> Iterator[str]:
    told = {one["label"]: one.get("text") or one.get("intRepr") for one in event["metadataEntries"]}
    if told.get("snapshot_id"):
        rows = told.get("dagster/row_count") or "?"
        added, removed = told.get("rows_added") or "0", told.get("rows_removed") or "0"
        name = told.get("dagster/table_name") or "/".join(event["assetKey"]["path"])
        yield f"{one_line(name, 200)}: {rows} rows (+{added}, -{removed}), snapshot {told['snapshot_id']}"


def _step(one: Mapping[str, Any]) -> str:
    took = f", {one['endTime'] - one['startTime']:.1f} s" if one["startTime"] and one["endTime"] else ""
    return f"{one['stepKey']}: {ask.STEPS.get(one['status'] or '', 'waiting')}{took}"


def _cut(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - _MOST_LINES
    return tuple(lines) if more <= 0 else (*lines[:_MOST_LINES], f"… and {more} more")
