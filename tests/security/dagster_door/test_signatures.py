"""Whose run it is: what a person launched carries their signature, which is worth nothing on another run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from drls_dagster.dagster_private.tried import ReexecutionStrategy, execute_backfill_iteration
from drls_dagster.dagster_private.workspace import BulkActionStatus
from drls_dagster.gate.launched_by import LAUNCHED_BY_TAG, run_subject
from drls_dagster.lifecycle_client.opening import os_user
from lifecycle.domain.roles import Role
from lifecycle.usecases.parts.signed_tokens import seal
from tests.drls_dagster.gate.ways import LOG
from tests.security.dagster_door.asking import AGAIN, BACKFILL, BACKFILL_AGAIN, key, run_by
from tests.security.door import LOCATION, MINE, THEIRS, Door

# Dagster's own web server uses what Dagster has deprecated.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"
    ),
    pytest.mark.tables,
]


def test_a_signature_is_for_one_run(door: Door) -> None:
    """A launch that brings somebody's signature is its own launcher's; a command's that does is refused."""
    run = door.run_of(door.launch("ada", MINE))
    stolen = run.tags[LAUNCHED_BY_TAG]
    tags = {LAUNCHED_BY_TAG: stolen, "user": "ada"}
    forged = door.run_of(door.launch("nora", MINE, tags=tags))
    assert door.admitted_by(forged.run_id, MINE) == door.life.person("nora")
    assert forged.tags["user"] == "nora"
    # This home's own processes sign nothing, so nothing overwrites what they were made to bring.
    for value in (stolen, "made up", ""):
        refused = door.run_of(door.launch("own", MINE, tags={LAUNCHED_BY_TAG: value}))
        assert refused.status is dg.DagsterRunStatus.FAILURE, value
    plain = door.run_of(door.launch("own", MINE))
    assert door.admitted_by(plain.run_id, MINE) is None
    assert "user" not in plain.tags


def test_who_executes_again_is_the_new_person(door: Door) -> None:
    first = run_by(door, "ada")
    door.instance.run_coordinator.cancel_run(first)
    again = door.run_of(door.post("nora", AGAIN, {"p": {"parentRunId": first, "strategy": "ALL_STEPS"}}))
    assert again.parent_run_id == first
    assert door.admitted_by(again.run_id, MINE) == door.life.person("nora")
    assert again.tags["user"] == "nora"


def test_a_backfill_is_its_launchers_and_who_repeats_it_is_the_new_person(door: Door) -> None:
    stolen = door.run_of(door.launch("ada", MINE)).tags[LAUNCHED_BY_TAG]
    tags = [{"key": LAUNCHED_BY_TAG, "value": stolen}, {"key": "user", "value": "ada"}]
    asked = {"assetSelection": [key(MINE)], "partitionNames": ["north"], "tags": tags, "title": "t"}
    first = door.post("nora", BACKFILL, {"p": asked}).json()["data"]["launchPartitionBackfill"]["backfillId"]
    assert _launcher(door, first) == door.life.person("nora")
    backfill = door.instance.get_backfill(first)
    assert backfill is not None
    door.instance.run_storage.update_backfill(backfill.with_status(BulkActionStatus.CANCELED))
    again = door.post("wilma", BACKFILL_AGAIN, {"p": {"parentRunId": first, "strategy": "ALL_STEPS"}})
    second = again.json()["data"]["reexecutePartitionBackfill"]["backfillId"]
    assert _launcher(door, second) == door.life.person("wilma")


def _launcher(door: Door, backfill: str) -> int | None:
    (run,) = _runs_of(door, backfill)
    return door.admitted_by(run.run_id, MINE)


def _runs_of(door: Door, backfill: str) -> Sequence[dg.DagsterRun]:
    """The runs that the daemon makes of a backfill."""
    process: Any = door.client.app._workspace._workspace  # pyright: ignore[reportAttributeAccessIssue]
    plain = dg.DagsterInstance.get()  # the daemon's own, not the door's
    for _ in range(3):
        for error in execute_backfill_iteration(_Daemon(process, plain), LOG):  # pyright: ignore[reportArgumentType]
            assert error is None, error
    return plain.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))


class _Daemon:
    """The workspace of a process that is not the web's: the same code location, Dagster's own instance."""

    def __init__(self, process: Any, instance: dg.DagsterInstance) -> None:
        self._process, self.instance = process, instance

    def create_request_context(self, source: object = None) -> Any:
        context = self._process.create_request_context(source)
        context._instance = self.instance
        return context


def _prepared(door: Door, *, parent: dg.DagsterRun | None = None, tags: dict[str, str] | None = None) -> str:
    """A run that some process makes which is not the web's, as the daemon's retries and backfills are."""
    process: Any = door.client.app._workspace._workspace  # pyright: ignore[reportAttributeAccessIssue]
    plain = dg.DagsterInstance.get()
    context = _Daemon(process, plain).create_request_context()
    location = context.get_code_location(LOCATION)
    first = parent or door.run_of(door.launch("ada", MINE))
    origin = first.remote_job_origin
    assert origin is not None
    job = location.get_repository("__repository__").get_full_job(MINE)
    made = plain.create_reexecuted_run(
        parent_run=first,
        request_context=context,
        code_location=location,
        remote_job=job,
        strategy=ReexecutionStrategy.ALL_STEPS,
        extra_tags=tags,
        use_parent_run_tags=True,
    )
    plain.submit_run(made.run_id, context)
    return made.run_id


def test_a_run_that_dagster_tries_again_stays_its_launchers(door: Door) -> None:
    first = door.run_of(door.launch("nora", MINE))
    second = _prepared(door, parent=first, tags={"dagster/retry_number": "1"})
    assert door.admitted_by(second, MINE) == door.life.person("nora")


def test_what_this_machine_executes_again_is_not_its_first_launchers(door: Door) -> None:
    first = door.run_of(door.launch("nora", MINE))
    second = _prepared(door, parent=first)
    assert door.admitted_by(second, MINE) is None
    run = door.instance.get_run_by_id(second)
    assert run is not None
    assert run.tags["user"] == os_user()


@pytest.mark.parametrize(
    "what", ["too old", "another run", "another pipeline", "another environment", "no such person"]
)
def test_a_signature_for_something_else_is_refused(door: Door, what: str) -> None:
    """New with the signature: 0.1.0 had none."""
    ctx, adam = door.life.ctx, door.life.as_("adam")
    first = door.run_of(door.launch("ada", MINE))
    said = {"of": run_subject(first.run_id), "person": str(adam.person), "name": "adam", "host": ""}
    said["where"] = f"{LOCATION}/{MINE}"
    life = timedelta(days=1)
    match what:
        case "too old":
            life = timedelta(seconds=-1)
        case "another run":
            said["of"] = run_subject("another")
        case "another pipeline":
            said["where"] = f"{LOCATION}/{THEIRS}"
        case "another environment":
            said["where"] = f"qa/{MINE}"
        case _:
            said["person"] = "4711"
    signed = seal(ctx, "drls-launched-by", said, life)
    run_id = _prepared(door, parent=first, tags={LAUNCHED_BY_TAG: signed, "dagster/retry_number": "1"})
    run = door.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_a_backfill_ends_with_its_launchers_grant(door: Door) -> None:
    life = door.life
    life.add_person("tim", Role.DATA_ENGINEER)
    asked = {"assetSelection": [key(MINE)], "partitionNames": ["south"], "title": "t"}
    found = door.post("tim", BACKFILL, {"p": asked}).json()["data"]["launchPartitionBackfill"]["backfillId"]
    with life.store.write(life.as_("adam"), "test") as unit:
        for grant in unit.people.grants(life.person("tim")):
            unit.people.revoke_grant(grant)
        unit.audit("grants.withdrawn", "person:tim")
    (run,) = _runs_of(door, found)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["drls/refused"] == "true"
    assert "tim has none" in door.audited("admission.refused")[-1]["reason"]
