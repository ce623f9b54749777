"""Tools that look at runs, start them, wait for them and cancel them: through Dagster's GraphQL, behind its door."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from agent.tools import run_queries as ask
from agent.tools.call import Dagster, ToolCall
from agent.tools.dagster import DagsterRefused, one_line
from agent.tools.errors import ToolError
from agent.tools.run_launching import Launch, plan_assets, plan_pipeline
from agent.tools.run_loading import await_loaded
from agent.tools.run_reading import Level, log_page, summary
from agent.tools.tool import Answer, Effect, Input, Toolset, tool
from lifecycle.domain.duration import Duration
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
_MOST_RUNS = 50
_MOST_PIPELINES = 40
LONGEST_WAIT = 600
_LOOK_SECONDS = 1.0
_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
KEY = Field(None, description="8 characters or more; same key, same run")
DRY = Field(None, description="only plan; default: yes, except in development")


class ListRuns(Input):
    """Filters; all of them together."""

    pipeline: str | None = None
    environment: Environment | None = None
    status: Status | None = None
    since: str | None = Field(None, description="ISO time, or 24h, 7d")
    limit: int = Field(20, ge=1, le=_MOST_RUNS)
    cursor: str | None = None


class RunRow(BaseModel):
    """A run in a list."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    pipeline: str
    environment: str | None
    version: str | None
    status: str
    by: str | None
    created: str
    seconds: float | None


class RunList(Answer):
    """Runs, newest first."""

    runs: list[RunRow]
    cursor: str | None = None


class GetRun(Input):
    """A run, and how much of its log."""

    run_id: str
    logs: Level | None = Field(None, description="also its log, from this level up")
    cursor: str | None = Field(None, description="next page of the log")


class RunDetail(Answer, RunRow):
    """A run; every list has a line each."""

    url: str
    error: str | None = None
    steps: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    cursor: str | None = None


class Run(Input):
    """What to run."""

    pipeline: str
    environment: Environment = Environment.DEVELOPMENT
    nodes: str | None = Field(None, description="some steps: a, +b (and above), c+ (and below)")
    partition: str | None = Field(None, description="KEY, FIRST...LAST or all")
    parameters: dict[str, Any] = Field(default_factory=dict)
    key: str | None = KEY
    dry_run: bool | None = DRY


class Materialize(Input):
    """Which assets to compute."""

    selection: str = Field(description='Dagster\'s syntax, e.g. key:"sales.orders"+ and not tag:slow')
    environment: Environment = Environment.DEVELOPMENT
    partition: str | None = Field(None, description="KEY, FIRST...LAST or all")
    key: str | None = KEY
    dry_run: bool | None = DRY


class Started(Answer):
    """What was started, or would be."""

    run_id: str | None = None
    backfill_id: str | None = None
    status: str
    url: str | None = None
    what: str
    steps: tuple[str, ...] = ()


class WaitRun(Input):
    """A run, and how long to wait."""

    run_id: str
    seconds: int = Field(120, ge=1, le=LONGEST_WAIT)


class Waited(Answer):
    """How far the run is."""

    run_id: str
    status: str
    done: int
    total: int
    failed: tuple[str, ...] = ()


class CancelRun(Input):
    """A run."""

    run_id: str
    dry_run: bool | None = DRY


class Cancelled(Answer):
    """What became of it."""

    run_id: str
    status: str


@tool(Toolset.READ)
def list_runs(call: ToolCall, given: ListRuns) -> RunList:
    """Runs, newest first."""
    wanted: dict[str, Any] = {}
    tags = [{"key": ask.ENVIRONMENT_TAG, "value": given.environment.value}] if given.environment else []
    if given.status:
        wanted["statuses"] = ask.STATUSES[given.status]
    if given.since:
        wanted["createdAfter"] = _since(given.since).timestamp()
    dagster = call.dagster
    if given.pipeline:
        found = _of_pipelines(dagster, [given.pipeline], wanted, tags, given)
    else:
        try:
            found = _page(dagster, {**wanted, "tags": tags}, given.limit + 1, given.cursor)
        except DagsterRefused as error:
            if not ask.is_narrow(error):
                raise
            names = [one.name for one in call.lifecycle.pipelines.list()][:_MOST_PIPELINES]
            found = _of_pipelines(dagster, names, wanted, tags, given)
    runs = [RunRow(**ask.row_of(one)) for one in found[: given.limit]]
    failed = next((one.run_id for one in runs if one.status in ("failed", "refused")), None)
    return RunList(
        runs=runs,
        cursor=runs[-1].run_id if len(found) > given.limit else None,
        next=f"explain_run({failed}) says why it failed" if failed else "",
    )


@tool(Toolset.READ)
def get_run(call: ToolCall, given: GetRun) -> RunDetail:
    """A run: steps, checks, what it published, its error and, on request, its log by pages."""
    dagster = call.dagster
    run = ask.run_of(dagster, given.run_id)
    row = ask.row_of(run)
    lines, cursor = log_page(dagster, given.run_id, given.logs, given.cursor) if given.logs else ([], None)
    told = {} if given.cursor else summary(dagster, run)
    return RunDetail(
        **row, **told, url=f"{dagster.url}/runs/{run['runId']}", logs=tuple(lines), cursor=cursor, next=_after(row)
    )


@tool(Toolset.RUNS, role=Role.DATA_ENGINEER, effect=Effect.CHANGE)
def run(call: ToolCall, given: Run) -> Started:
    """Start a run of a pipeline, through the gate. Outside development it asks for confirmation."""
    dagster = call.dagster
    await_loaded(call, given.pipeline, given.environment)
    return _start(call, plan_pipeline(dagster, given), given.key, given.dry_run)


@tool(Toolset.RUNS, role=Role.DATA_ENGINEER, effect=Effect.CHANGE)
def materialize(call: ToolCall, given: Materialize) -> Started:
    """Compute the assets that a selection names, at most 50, of pipelines that you may run."""
    names = [one.name for one in call.lifecycle.pipelines.list()]
    return _start(call, plan_assets(call.dagster, names, given), given.key, given.dry_run)


@tool(Toolset.RUNS)
def wait_run(call: ToolCall, given: WaitRun) -> Waited:
    """Wait until a run ends, at most 10 minutes; reports progress."""
    dagster, until, said = call.dagster, time.monotonic() + given.seconds, ""
    while True:
        run = ask.run_of(dagster, given.run_id)
        row = ask.row_of(run)
        steps = {one["stepKey"]: ask.STEPS.get(one["status"] or "", "waiting") for one in run["stepStats"]}
        done = sum(one in ("done", "failed", "skipped") for one in steps.values())
        total = max(len(run["stepKeysToExecute"] or ()), len(steps))
        over = row["status"] in ask.OVER
        now = f"{row['status']}: " + ", ".join(f"{_node(key)} {state}" for key, state in steps.items())
        if now != said:
            call.client.progress(done, total or None, one_line(now, 300))
            said = now
        stopped = call.client.cancelled or time.monotonic() > until
        if over or stopped:
            failed = tuple(_node(key) for key, state in steps.items() if state == "failed")
            after = _after(row) if over else f"still {row['status']}: call wait_run again"
            return Waited(run_id=run["runId"], status=row["status"], done=done, total=total, failed=failed, next=after)
        time.sleep(min(_LOOK_SECONDS, max(0.0, until - time.monotonic())))


@tool(Toolset.RUNS, role=Role.DATA_ENGINEER, effect=Effect.CHANGE, idempotent=True)
def cancel_run(call: ToolCall, given: CancelRun) -> Cancelled:
    """Cancel a run: its steps stop, and nothing more of it is published."""
    dagster = call.dagster
    row = ask.row_of(ask.run_of(dagster, given.run_id))
    if row["status"] in ask.OVER:
        return Cancelled(run_id=row["run_id"], status=row["status"], next="it was over before; nothing was cancelled")
    where = row["environment"] or "development"
    if _is_dry([where], given.dry_run):
        told = f"run {row['run_id']} of {row['pipeline']} in {where} would be cancelled; call with dry_run=false"
        return Cancelled(run_id=row["run_id"], status=row["status"], next=told)
    if where != Environment.DEVELOPMENT:
        call.confirm(f"Cancel run {row['run_id']} of {row['pipeline']} in {where}?")
    found = dagster.query(ask.CANCEL, {"id": row["run_id"]})["terminateRun"]
    if found["__typename"] != "TerminateRunSuccess":
        raise ToolError(f"run {row['run_id']} was not cancelled: {one_line(found.get('message', ''))}")
    after = ask.row_of(ask.run_of(dagster, row["run_id"]))
    return Cancelled(run_id=row["run_id"], status=after["status"], next="wait_run says when its steps have ended")


def _start(call: ToolCall, launch: Launch, key: str | None, dry_run: bool | None) -> Started:
    if _is_dry([launch.environment.value], dry_run):
        return Started(
            status="dry run", what=launch.what, steps=launch.steps, next="call again with dry_run=false to start it"
        )
    if launch.environment is not Environment.DEVELOPMENT:
        call.confirm(f"{launch.what}?")
    dagster = call.dagster
    (found,) = dagster.query(launch.document, {"params": launch.params}, key=key).values()
    made = ask.launched(found)
    if launch.is_backfill:
        url = f"{dagster.url}/runs/b/{made}"
        told = "list_runs shows its runs as they start"
        return Started(backfill_id=made, status="requested", url=url, what=launch.what, steps=launch.steps, next=told)
    row = ask.row_of(ask.run_of(dagster, made))
    return Started(
        run_id=made,
        status=row["status"],
        url=f"{dagster.url}/runs/{made}",
        what=launch.what,
        steps=launch.steps,
        next=_after(row) if row["status"] in ask.OVER else f"wait_run({made}) waits for it",
    )


def _is_dry(environments: Sequence[str], asked: bool | None) -> bool:
    """Development is free to break, so that a run there need not be asked for twice."""
    return asked if asked is not None else any(one != Environment.DEVELOPMENT for one in environments)


def _after(row: dict[str, Any]) -> str:
    match row["status"]:
        case "failed" | "refused" | "cancelled":
            return f"explain_run({row['run_id']}) says why, and what to do"
        case "queued" | "running" | "cancelling":
            return f"wait_run({row['run_id']}) waits until it ends"
        case _:
            return "get_table or preview shows what it published"


def _node(step: str) -> str:
    return step.rpartition("__")[2] or step


def _since(text: str) -> datetime:
    """Raises ToolError for what is no time."""
    now = datetime.now().astimezone()
    try:
        found = now - _DURATION.validate_python(text) if text[-1:] in "smhdw" else datetime.fromisoformat(text)
    except ValueError:
        raise ToolError(f"since: {text[:40]!r} is not a time", hint="write 2024-05-01T06:00:00Z, 24h or 7d") from None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _page(dagster: Dagster, wanted: dict[str, Any], limit: int, cursor: str | None) -> list[dict[str, Any]]:
    found = dagster.query(ask.LIST, {"filter": wanted, "limit": limit, "cursor": cursor})["runsOrError"]
    if found["__typename"] != "Runs":
        raise ToolError(f"runs cannot be listed: {one_line(found.get('message', ''))}")
    return found["results"]


def _of_pipelines(
    dagster: Dagster, names: Sequence[str], wanted: dict[str, Any], tags: list[dict[str, str]], given: ListRuns
) -> list[dict[str, Any]]:
    """The newest runs of some pipelines. Dagster pages by run ids, which are in no order: here by time."""
    found: list[dict[str, Any]] = []
    for name in names:
        own = [*tags, {"key": ask.PIPELINE_TAG, "value": name}]
        found += _page(dagster, {**wanted, "tags": own}, given.limit + 1, given.cursor)
    return sorted(found, key=lambda one: one["creationTime"], reverse=True)[: given.limit + 1]
