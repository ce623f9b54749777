"""A difference of data with something of everything in it, and a data plane that finds it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from lifecycle.domain.data_diff import (
    Cell,
    ChangedRow,
    ColumnDiff,
    DataDiff,
    DiffLimits,
    DiffStep,
    Progress,
    RowKey,
    RowSample,
    SchemaChange,
    Side,
    SnapshotShown,
    Statistics,
    Watch,
)
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import PRODUCTION, UAT

T = "flights.daily"


class GivenPlane(FakePlane):
    """Finds what it was given, or fails with it; with neither it goes on until it is given something."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.given: DataDiff | Exception | None = None

    def compare(
        self, table: str, before: Side, after: Side, keys: Sequence[RowKey], limits: DiffLimits, watch: Watch
    ) -> DataDiff:
        pause = threading.Event()
        while self.given is None:
            watch(Progress(step=DiffStep.READING, files=3, of=12, rows=45_000))
            pause.wait(0.01)
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


def made(**changes: object) -> DataDiff:
    """A difference with something of everything in it."""
    before = Statistics(nulls=0, min="a", max="c", distinct=3)
    values = {
        "table": T,
        "before": SnapshotShown(environment=PRODUCTION, snapshot=11, rows=10, files=2),
        "after": SnapshotShown(environment=UAT, snapshot=22, rows=13, files=3),
        "keys": ("id",),
        "matched_by": "rows are matched by id: the sink merges rows by this key; compared on the columns both sides have",
        "added": 5, "removed": 2, "changed": 1,
        "schema_changes": (SchemaChange(kind="added", column="late", after="boolean"),),
        "columns": (
            ColumnDiff(column="id", type="int", before=Statistics(nulls=0, min="1", max="9", mean=4.5, distinct=9),
                       after=Statistics(nulls=0, min="1", max="9", mean=4.5, distinct=9)),
            ColumnDiff(column="note", type="string", before=before,
                       after=before.model_copy(update={"nulls": 4}), changed=1),
            ColumnDiff(column="late", type="boolean", before=None, after=Statistics(nulls=13)),
        ),
        "statistics_note": "of all rows",
        "sample_columns": ("id", "note"), "columns_not_shown": 1,
        "added_rows": (RowSample(values=("12", ""), times=2), RowSample(values=("13", None))),
        "removed_rows": (RowSample(values=("3", "gone")),),
        "changed_rows": (ChangedRow(key=("7",), cells=(Cell(column="note", before="b", after=None),), more=2),),
        "files_read": 4, "files_same": 1,
        **changes,
    }  # fmt: skip
    return DataDiff.model_validate(values)
