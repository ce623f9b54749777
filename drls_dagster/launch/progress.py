"""A run as it goes, step by step, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import dagster as dg

State = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass
class StepProgress:
    """A step of a run as it goes. Times are seconds."""

    node: str
    kind: str
    state: State = "waiting"
    seconds: float | None = None
    message: str = ""


@dataclass
class RunOutcome:
    """How a run ended. `tables` and `checks` are what its sinks and monitors reported."""

    run_id: str
    success: bool = False
    interrupted: bool = False  # by Ctrl-C, or by whoever ends processes
    seconds: float = 0.0
    partition: str | None = None
    steps: list[StepProgress] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failure(self) -> str:
        return next((step.message for step in self.steps if step.state == "failed"), "")


class Follower:
    """Turns Dagster's events into the progress of steps."""

    def __init__(self, outcome: RunOutcome, nodes: Mapping[str, str], changed: Callable[[RunOutcome], None]) -> None:
        self.outcome = outcome
        self.steps = {key: step for key, name in nodes.items() for step in outcome.steps if step.node == name}
        self.changed = changed

    def __call__(self, entry: dg.EventLogEntry, _cursor: object = None) -> None:
        event = entry.dagster_event
        step = self.steps.get(event.step_key or "") if event else None
        if event is None or step is None:
            return
        kind = event.event_type_value
        if kind == "STEP_START":
            step.state = "running"
        elif kind == "STEP_SUCCESS":
            step.state, step.seconds = "done", event.step_success_data.duration_ms / 1000
        elif kind == "STEP_SKIPPED":
            step.state = "skipped"
        elif kind in {"STEP_FAILURE", "STEP_UP_FOR_RETRY"}:
            step.message = _failure_text(event)
            if step.message == _interrupted():
                step.message, self.outcome.interrupted = "interrupted", True
            step.state = "failed" if kind == "STEP_FAILURE" else "running"
        elif kind == "ASSET_MATERIALIZATION":
            self._materialized(step, event)
        elif kind == "ASSET_CHECK_EVALUATION":
            data = event.asset_check_evaluation_data
            self.outcome.checks.append(
                {
                    "node": step.node,
                    "check": data.check_name,
                    "passed": data.passed,
                    "severity": "blocking" if data.severity.value == "ERROR" else "warn",
                    "message": data.description,
                }
            )
        else:
            return
        self.changed(self.outcome)

    def _materialized(self, step: StepProgress, event: dg.DagsterEvent) -> None:
        values = {name: value.value for name, value in event.materialization.metadata.items()}
        if "snapshot_id" not in values or any(table["node"] == step.node for table in self.outcome.tables):
            return  # a view, or one more of the partitions that one publish covers
        self.outcome.tables.append(
            {
                "node": step.node,
                "name": str(values["dagster/table_name"]).split(".", 1)[1],
                "rows": values["dagster/row_count"],
                "bytes": values["dagster/size_bytes"],
                "rows_added": values["rows_added"],
                "rows_removed": values["rows_removed"],
                "snapshot_id": int(str(values["snapshot_id"])),
                "already_published": values["already_published"],
            }
        )


def _interrupted() -> str:
    """What Dagster logs of an interrupted step: the full name of the error, which has no text."""
    from dagster import DagsterExecutionInterruptedError as Error

    return f"{Error.__module__}.{Error.__qualname__}"


def _failure_text(event: dg.DagsterEvent) -> str:
    data: Any = event.event_specific_data
    failure = getattr(data, "user_failure_data", None)
    if failure is not None and failure.description:
        return failure.description
    error = getattr(data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().splitlines()[0] if error is not None else "failed"
