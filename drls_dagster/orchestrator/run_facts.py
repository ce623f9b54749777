"""What Dagster and the ledger remember of a run, for people who ask why it failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drls_dagster.ledger import About, Ledger, open_ledger
from drls_dagster.orchestrator.sources_seen import sources_seen
from drls_dagster.orchestrator.step_tags import step_tags
from drls_dagster.settings import Settings
from drls_dagster.tags import ENVIRONMENT_TAG, NODE_TAG, PIPELINE_TAG, REFUSED_TAG, VERSION_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.explanation import one_line
from lifecycle.domain.run_facts import Ending, FailedCheck, RunFacts, RunPart, StepFailure

if TYPE_CHECKING:
    import dagster as dg

_MOST_EVENTS = 5_000
_MOST_GOOD = 10
_ENDINGS = {
    "SUCCESS": Ending.SUCCEEDED,
    "FAILURE": Ending.FAILED,
    "CANCELED": Ending.CANCELLED,
    "QUEUED": Ending.QUEUED,
    "NOT_STARTED": Ending.QUEUED,
}
# What Dagster says when it has said why before.
_FROM_OUTSIDE = "This run has been marked as failed from outside"
_CRASH = re.compile(r"unexpectedly|terminated by signal|exit code|SIGKILL|was killed", re.IGNORECASE)
_GONE = "the process of the run is gone, and reported nothing"
Tags = Mapping[str, Mapping[str, str]]


def facts_of(settings: Settings, instance: dg.DagsterInstance, run_id: str) -> RunFacts | None:
    """None for a run that the Dagster of this home does not know."""
    import dagster as dg

    records = instance.get_run_records(dg.RunsFilter(run_ids=[run_id]), limit=1)
    if not records:
        return None
    run, ledger = records[0].dagster_run, open_ledger(settings)
    steps = step_tags(instance, run)
    ending = _ENDINGS.get(run.status.value, Ending.RUNNING)
    if ending is Ending.FAILED and run.tags.get(REFUSED_TAG) == "true":
        ending = Ending.REFUSED
    events = list(_events(instance, run_id))
    said = list(_said(events))
    if ending is Ending.RUNNING and ledger.is_dead(run_id):
        # Dagster believes in a run whose process was killed for ever.
        ending, said = Ending.FAILED, [*said, _GONE]
    return RunFacts(
        run_id=run_id,
        parts=tuple(_parts(steps)),
        ending=ending,
        launched_by=run.tags.get(_user_tag()),
        partition=_partition(run.tags),
        created=records[0].create_timestamp.astimezone(UTC),
        started=_time(records[0].start_time),
        ended=_time(records[0].end_time),
        failures=tuple(_failures(events, steps)),
        failed_checks=tuple(_failed_checks(events, steps, ledger.told(run_id, About.ROWS))),
        said=tuple(said),
        sources=sources_seen(settings, ledger, run_id),
        columns=dict(_columns(events, steps)),
        tools=_tools(ledger, run_id),
    )


def good_before(instance: dg.DagsterInstance, run_id: str) -> Sequence[str]:
    """By tags, which anybody can set: whoever uses them asks for the facts of each."""
    import dagster as dg

    records = instance.get_run_records(dg.RunsFilter(run_ids=[run_id]), limit=1)
    if not records:
        return ()
    tags = records[0].dagster_run.tags
    wanted = {name: tags[name] for name in (PIPELINE_TAG, ENVIRONMENT_TAG) if name in tags}
    if not wanted:
        return ()
    good = dg.RunsFilter(
        tags=wanted, statuses=[dg.DagsterRunStatus.SUCCESS], created_before=records[0].create_timestamp
    )
    return [one.run_id for one in instance.get_runs(good, limit=_MOST_GOOD)]


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.DagsterEvent]:
    import dagster as dg

    kinds = dg.DagsterEventType
    wanted = {
        kinds.STEP_FAILURE,
        kinds.RUN_FAILURE,
        kinds.ENGINE_EVENT,
        kinds.ASSET_CHECK_EVALUATION,
        kinds.ASSET_MATERIALIZATION,
    }
    found = instance.get_records_for_run(run_id, of_type=wanted, limit=_MOST_EVENTS)
    for record in found.records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield event


def _parts(steps: Tags) -> Iterator[RunPart]:
    found = {
        (one[PIPELINE_TAG], one[ENVIRONMENT_TAG], one[VERSION_TAG])
        for one in steps.values()
        if PIPELINE_TAG in one and ENVIRONMENT_TAG in one and VERSION_TAG in one
    }
    for pipeline, environment, digest in sorted(found):
        yield RunPart(pipeline=pipeline, environment=Environment(environment), digest=digest)


def _node(steps: Tags, step: str | None) -> str:
    """Steps of a release before it was noted are named like their asset."""
    return steps.get(step or "", {}).get(NODE_TAG) or (step or "").rpartition("__")[2]


def _failures(events: Sequence[dg.DagsterEvent], steps: Tags) -> Iterator[StepFailure]:
    for event in events:
        if event.event_type_value == "STEP_FAILURE":
            data = event.step_failure_data
            told = data.user_failure_data.description if data.user_failure_data else None
            error = data.error
            while told is None and error is not None and error.cause is not None:
                error = error.cause
            step = event.step_key or ""
            yield StepFailure(
                step=step,
                node=_node(steps, step),
                pipeline=steps.get(step, {}).get(PIPELINE_TAG, ""),
                message=one_line(told or (error.message if error else "") or event.message or "it failed"),
            )


def _said(events: Sequence[dg.DagsterEvent]) -> Iterator[str]:
    """What ended the run as a whole, a process that died included, which Dagster reports as no error."""
    import dagster as dg

    for event in events:
        kind, text = event.event_type_value, event.message or ""
        if kind == dg.DagsterEventType.RUN_FAILURE.value and text and not text.startswith(_FROM_OUTSIDE):
            yield one_line(text)
        elif kind == dg.DagsterEventType.ENGINE_EVENT.value:
            error = event.engine_event_data.error
            if error is not None or _CRASH.search(text):
                yield one_line(f"{text} {error.message if error else ''}")


def _failed_checks(events: Sequence[dg.DagsterEvent], steps: Tags, rows: Mapping[str, Any]) -> Iterator[FailedCheck]:
    """The last result of each check counts: a step may have been tried again."""
    last = {
        (_node(steps, event.step_key), event.asset_check_evaluation_data.check_name): event.asset_check_evaluation_data
        for event in events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    }
    for (node, check), found in last.items():
        if not found.passed:
            told = rows.get(node, {}).get(check, {})
            yield FailedCheck(
                node=node,
                check=check,
                blocking=found.severity.value == "ERROR",
                message=one_line(found.description or "it failed"),
                columns=tuple(told.get("columns", ())),
                rows=tuple(
                    tuple(None if one is None else one_line(one) for one in row) for row in told.get("rows", ())
                ),
            )


def _columns(events: Sequence[dg.DagsterEvent], steps: Tags) -> Iterator[tuple[str, dict[str, str]]]:
    for event in events:
        if event.event_type_value == "ASSET_MATERIALIZATION":
            schema = event.materialization.metadata.get("dagster/column_schema")
            if schema is not None:
                columns = getattr(schema.value, "columns", ())
                yield _node(steps, event.step_key), {one.name: one.type for one in columns}


def _tools(ledger: Ledger, run_id: str) -> dict[str, str]:
    return dict(ledger.told(run_id, About.TOOLS).get("", {}))


def _partition(tags: Mapping[str, str]) -> str | None:
    from drls_dagster.dagster_private.tags import (
        ASSET_PARTITION_RANGE_END_TAG,
        ASSET_PARTITION_RANGE_START_TAG,
        PARTITION_NAME_TAG,
    )

    if ASSET_PARTITION_RANGE_START_TAG in tags:
        return f"{tags[ASSET_PARTITION_RANGE_START_TAG]}...{tags.get(ASSET_PARTITION_RANGE_END_TAG, '')}"
    return tags.get(PARTITION_NAME_TAG)


def _user_tag() -> str:
    from drls_dagster.dagster_private.tags import USER_TAG

    return USER_TAG


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
