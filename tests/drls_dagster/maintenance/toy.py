"""A kind of operation for tests: it commits `replace` with the same files. `where` says what befalls it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation as Commit
from pyiceberg.table.snapshots import Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse import adding, refs
from drls_dagster.maintenance import publishing
from drls_dagster.maintenance.work import Keep, Work
from lifecycle.domain.operations import (
    OPTIONS,
    CompactOptions,
    CompactResult,
    OperationKind,
    OperationPlan,
    Options,
    Progress,
    plan_digest,
)

KINDS = dict.fromkeys(OperationKind, "tests.drls_dagster.maintenance.toy")
CHILD = (
    "-c",
    "from drls_dagster.maintenance.child import main; from tests.drls_dagster.maintenance.toy import KINDS; main(KINDS)",
)
WAITS = 7  # as the size of new files
SECRET = "hunter22-not-for-people"


def plan(table: Table, ref: str, options: Options, keep: Keep) -> OperationPlan:
    if isinstance(options, CompactOptions) and options.columns:
        raise UsageError(f"there is no column {options.columns[0]}")
    kind = next(one for one, model in OPTIONS.items() if isinstance(options, model))
    base = refs.head(table, ref)
    uuid = str(table.metadata.table_uuid)
    return OperationPlan(
        kind=kind,
        table=".".join(table.name()),
        ref=ref,
        base=base,
        needed=base is not None,
        reasons=("it is a test",),
        figures={"files_before": 1, "files_after": 1},
        cost="nothing",
        digest=plan_digest(kind, uuid, ref, base, options, {}),
    )


def execute(work: Work, options: Options) -> CompactResult:
    base = refs.head(work.table, work.ref)
    work.journal.note("toy", base=str(base))
    match script(options):
        case "":
            pass
        case "wait":
            _until_cancelled(lambda: work.report(Progress(done=1, total=2, what="files")))
        case "hang":
            work.report(Progress(done=1, total=2, what="files"))
            _until_cancelled(lambda: None)
        case "fail":
            raise DrlsError("the rows do not fit")
        case "break":
            raise RuntimeError(SECRET)
        case "others commit":
            work.catalog.load_table(work.name).append(work.table.scan().to_arrow())
        case where:
            _die(where)
    made = snapshot(work.table, base)
    work.publish(work.table, work.ref, base, AddSnapshotUpdate(snapshot=made), made.snapshot_id)
    work.report(Progress(done=2, total=2, what="files", bytes=10))
    seen = len(work.journal.notes("toy"))
    return CompactResult(
        rewritten_files=seen, new_files=1, rewritten_bytes=2, new_bytes=1, applied_deletes=0, snapshot=made.snapshot_id
    )


def script(options: Options) -> str:
    """What shall befall it."""
    if isinstance(options, CompactOptions):
        return options.where
    return "wait" if getattr(options, "target_bytes", None) == WAITS else ""


def snapshot(table: Table, base: int | None) -> Snapshot:
    """The same files once more, as a compaction's snapshot."""
    before = table.snapshot_by_id(base) if base is not None else None
    assert before is not None
    assert before.summary is not None
    counted = {key: value for key, value in before.summary.additional_properties.items() if key.startswith("total")}
    return Snapshot(
        snapshot_id=table.metadata.new_snapshot_id(),
        parent_snapshot_id=base,
        sequence_number=table.metadata.last_sequence_number + 1,
        timestamp_ms=table.metadata.last_updated_ms + 1,
        manifest_list=before.manifest_list,
        summary=Summary(operation=Commit.REPLACE, **counted),
        schema_id=table.metadata.current_schema_id,
    )


# Where a governed publish can die: before or after one of its steps.
STEPS = ("add_to", "grant_maintenance", "publish", "record_maintenance")
DEATHS = tuple(f"{when} {step}" for step in STEPS for when in ("before", "after"))


def _die(where: str) -> None:
    when, _, step = where.partition(" ")
    owner: Any = {"add_to": adding, "publish": refs}.get(step, publishing)
    act = getattr(owner, step)

    def dies(*args: Any, **kwargs: Any) -> NoReturn:
        if when == "after":
            act(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is dead")

    setattr(owner, step, dies)


def _until_cancelled(look: Callable[[], None]) -> NoReturn:
    never = threading.Event()
    while True:
        look()
        never.wait(0.05)
