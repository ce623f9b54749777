"""An operation on a table from asking to its end: rights, progress, cancellation, death, and what the log says."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from drls_dagster.ledger import open_ledger
from drls_dagster.ledger.operations import KILLED
from drls_dagster.ledger.tables import OPERATIONS
from drls_dagster.settings import Settings
from lifecycle.domain.operations import CompactOptions, CompactResult, Operation, OperationKind, OperationState
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from lifecycle.usecases.operate_table import (
    cancel_operation,
    list_operations,
    plan_operation,
    show_operation,
    start_operation,
)
from tests.drls_dagster.maintenance.conftest import Start
from tests.drls_dagster.maintenance.toy import SECRET
from tests.iceberg_tables import make_table
from tests.lifecycle.life import Life
from tests.waiting import wait_until

T = "lab.t"
Ended = Callable[[Operation], Operation]


@pytest.fixture(autouse=True)
def table(life: Life) -> None:
    make_table(T, {"x": [1, 2]})


def audited(life: Life) -> list[tuple[str, str, Any]]:
    with life.store.read() as view:
        found = [one for one in view.log.entries() if one.verb.startswith("operation.")]
    return [(one.verb, one.actor["name"], one.body.get("state")) for one in found]


def pid_of(settings: Settings, number: int) -> int:
    with open_ledger(settings)._database.read() as connection:
        return connection.execute(OPERATIONS.select().where(OPERATIONS.c.id == number)).mappings().one()["pid"]


def is_working(life: Life, one: Operation) -> bool:
    return life.ctx.maintenance.operation(one.id).progress is not None


@pytest.mark.slow
def test_an_operation_is_followed_from_its_plan_to_its_result(life: Life, start: Start, ended: Ended) -> None:
    plan = plan_operation(life.ctx, life.as_("vic"), OperationKind.COMPACT, TableAt(name=T), None, CompactOptions())
    assert (plan.table, plan.ref, plan.needed) == (T, "main", True)
    started = start(T)
    assert started.plan == plan
    done = ended(started)
    assert (done.state, done.error, done.asked_by) == (OperationState.DONE, None, "lea")
    assert isinstance(done.result, CompactResult)
    assert done.progress is not None
    assert (done.progress.done, done.progress.bytes) == (2, 10)
    assert life.plane.head(T, "main") == done.result.snapshot
    assert audited(life) == [("operation.started", "lea", None), ("operation.ended", "lea", "done")]
    assert open_ledger(life.plane.settings).notes_on(T, "toy") == [], "what is done needs no notes"
    with pytest.raises(Refused, match="nothing to cancel"):
        cancel_operation(life.ctx, life.as_("lea"), done.id)
    with pytest.raises(Conflict, match="plan again"):
        start_operation(
            life.ctx, life.as_("lea"), OperationKind.COMPACT, TableAt(name=T), None, CompactOptions(),
            digest=plan.digest,
        )  # fmt: skip


def test_who_may_operate_on_a_table_of_no_pipeline(life: Life, start: Start) -> None:
    for name in ("ada", "vic", "bot"):
        with pytest.raises(Forbidden, match="maintaining a table needs the role LeadDataEngineer"):
            start(T, by=name)
    assert list_operations(life.ctx, life.as_("lea"), table=None, states=(), before=None, limit=9) == ([], None)
    assert audited(life) == []


@pytest.mark.parametrize(
    ("name", "ref", "columns", "refused"),
    [
        ("lab.none", None, (), "there is no table lab.none"),
        ("lab", None, (), "there is no table lab"),
        ("lab.t; DROP TABLE t", None, (), "there is no table"),
        ('lab."a b.c"', None, (), "there is no table"),
        (T, "nope", (), "has no ref 'nope'"),
        (T, "v1", (), "v1 of lab.t is a tag"),
        (T, "drls-candidate-1", (), "belongs to DRLS"),
        (T, None, ("nope",), "there is no column nope"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    life: Life, start: Start, name: str, ref: str | None, columns: tuple[str, ...], refused: str
) -> None:
    life.plane.catalog.load_table(T).manage_snapshots().create_tag(life.plane.head(T, "main") or 0, "v1").commit()
    before = life.plane.catalog.load_table(T).metadata_location
    for ask in (start, _planned(life)):
        with pytest.raises((NotFound, Invalid, Refused), match=refused) as error:
            ask(name, ref=ref, columns=columns)
        assert "\n" not in error.value.message
    assert life.plane.catalog.load_table(T).metadata_location == before
    assert audited(life) == []


def _planned(life: Life) -> Callable[..., object]:
    def plan(name: str, *, ref: str | None, columns: tuple[str, ...]) -> object:
        options = CompactOptions(columns=columns)
        return plan_operation(life.ctx, life.as_("vic"), OperationKind.COMPACT, TableAt(name=name), ref, options)

    return plan


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wait", "hang"])
def test_one_at_a_time_and_cancelled(life: Life, settings: Settings, start: Start, ended: Ended, how: str) -> None:
    """Also one that reports nothing stops."""
    first = start(T, how)
    wait_until(lambda: is_working(life, first))
    with pytest.raises(
        Conflict, match=f"operation {first.id} .compact, started by lea. is running on lab.t; wait for it"
    ):
        start(T, by="leo")
    with pytest.raises(Forbidden):
        cancel_operation(life.ctx, life.as_("ada"), first.id)
    process = psutil.Process(pid_of(settings, first.id))
    assert cancel_operation(life.ctx, life.as_("leo"), first.id).cancelling
    assert ended(first).state is OperationState.CANCELLED
    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert life.plane.catalog.load_table(T).metadata.snapshots[-1].parent_snapshot_id is None, "nothing was committed"
    done = ended(start(T, by="leo"))
    assert isinstance(done.result, CompactResult)
    assert done.result.rewritten_files == 2, "it saw the note of the one that was cancelled"
    assert [one[:2] for one in audited(life)] == [
        ("operation.started", "lea"), ("operation.cancelled", "leo"), ("operation.ended", "lea"),
        ("operation.started", "leo"), ("operation.ended", "leo"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("number", "said"), [(signal.SIGKILL, KILLED), (signal.SIGTERM, "its process was stopped")])
def test_a_process_that_is_ended_leaves_a_failed_operation(
    life: Life, settings: Settings, start: Start, ended: Ended, number: int, said: str
) -> None:
    first = start(T, "wait")
    wait_until(lambda: is_working(life, first))
    os.kill(pid_of(settings, first.id), number)
    failed = ended(first)
    assert failed.state is OperationState.FAILED
    assert said in str(failed.error)
    again = ended(start(T))
    assert isinstance(again.result, CompactResult)
    assert again.result.rewritten_files == 2, "it saw the note of the one that died"
    assert open_ledger(settings).notes_on(T, "toy") == []


@pytest.mark.slow
def test_what_goes_wrong_is_one_line_and_no_secret(life: Life, settings: Settings, start: Start, ended: Ended) -> None:
    assert ended(start(T, "fail")).error == "the rows do not fit"
    told = ended(start(T, "break")).error
    assert told == "it failed unexpectedly (RuntimeError); see why: drls logs maintenance"
    log = Path(settings.home, "logs", "maintenance.log")
    assert SECRET in log.read_text(), "its owner can look it up"
    assert log.stat().st_mode & 0o077 == 0
    moved = ended(start(T, "others commit"))
    assert moved.state is OperationState.FAILED
    assert "moved in the meantime" in str(moved.error)


def test_an_operation_is_seen_by_who_sees_the_table(life: Life) -> None:
    stranger = life.add_person("nobody", None)
    for number in (1, 99):
        with pytest.raises(NotFound, match=f"there is no operation {number} that you may see"):
            show_operation(life.ctx, stranger, number)
