"""Whether two snapshots of a table hold the same rows: what a compaction must not change.

Files that both have hold no difference. Of the others, rows are counted on each side, and for each column, and for all
of them together, hashes are added up: sums do not depend on the order of rows or on the files that they lie in.
"""

from __future__ import annotations

from collections.abc import Sequence

from drls_dagster.lakehouse.diff.columns import Column, match, read_schema
from drls_dagster.lakehouse.diff.files import Files, plan_files
from drls_dagster.lakehouse.diff.reading import read_batches
from drls_dagster.lakehouse.diff.scratch import scratch
from drls_dagster.lakehouse.diff.staging import in_order, opened
from drls_dagster.lakehouse.diff.version import Version

Totals = tuple[int, ...]


def differing(before: Version, after: Version, *, memory: str) -> tuple[str, ...]:
    """What is not the same, in words: the number of rows, the columns, or only how values are put together to rows."""
    old, new = before.schema, after.schema
    if old is None or new is None:
        return ("one of the two is not there",)
    columns = match(old, new, by_id=True)
    gone = [column.name for column in columns if not column.is_compared]
    if gone:
        return tuple(f"only one side has column {name}" for name in gone)
    plan = plan_files(before.tasks(), after.tasks())
    sides = [
        _totals(version, files, columns, of_before=version is before, memory=memory)
        for version, files in ((before, plan.before), (after, plan.after))
    ]
    (rows, *then), (rows_now, *now) = sides
    if rows != rows_now:
        return (f"the row count was {rows + plan.same.rows} and is {rows_now + plan.same.rows}",)
    names = [column.name for column in columns for _ in range(2)]
    other = dict.fromkeys(name for name, one, two in zip(names, then, now, strict=False) if one != two)
    if not other and then != now:
        return ("the values of different rows were exchanged",)
    return tuple(f"column {name} has other values" for name in other)


def _totals(
    version: Version,
    files: Files,
    columns: Sequence[Column],
    *,
    of_before: bool,
    memory: str,
) -> Totals:
    """Rows; for each column, how many values and the sum of their hashes; the sum of the hashes of whole rows."""
    import pyarrow as pa

    values = [in_order(column.sql, column.type) for column in columns]
    asked = ["count(*)"]
    asked += [text for value in values for text in (f"count({value})", f"sum(hash({value})::HUGEINT)")]
    asked.append(f"sum(hash({', '.join(values)})::HUGEINT)")
    found = [0] * len(asked)
    schema = read_schema(columns, of_before=of_before, by_id=True)
    with scratch() as folder, opened(folder, memory) as database:
        for task in files.tasks:
            assert version.table is not None  # noqa: S101 (it has files)
            for batch in read_batches(version.table, task, schema):
                database.register("batch", pa.Table.from_batches([batch]))
                (row,) = database.execute(f"SELECT {', '.join(asked)} FROM batch").fetchall()
                database.unregister("batch")
                found = [one + int(more or 0) for one, more in zip(found, row, strict=True)]
    return tuple(found)
