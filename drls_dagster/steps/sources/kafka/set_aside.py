"""Messages that a source sets aside: staged next to its rows, in a column that is null for a row that fits.

They are staged in the same read as the rows, so that a message is one or the other, also where a topic is compacted
meanwhile, and a retry has the same ones (D2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.storage import filesystem_of
from lifecycle.spec import KafkaSource
from lifecycle.spec.dead_letters import COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def column_of(source: KafkaSource) -> str:
    """The column's name, which no column of the source has."""
    name = "_drls_dead_letter"
    while name in {one.lower() for one in source.columns}:
        name += "_"
    return name


def letter(reason: Column, parts: dict[str, Column]) -> Column:
    """What is kept of a message that has a reason; null of any other."""
    from pyspark.sql.connect.functions import builtin as f

    named = {**parts, "reason": reason}
    kept = f.struct(*(named[name].cast(kind).alias(name) for name, kind in COLUMNS.items()))
    return f.when(reason.isNotNull(), kept)


def fitting(rows: DataFrame, source: KafkaSource) -> DataFrame:
    """The rows of what was staged."""
    return rows.where(rows[column_of(source)].isNull()).drop(column_of(source))


def letters(rows: DataFrame, source: KafkaSource) -> DataFrame:
    """The messages among what was staged that were set aside."""
    from pyspark.sql.connect.functions import builtin as f

    name = column_of(source)
    return rows.where(rows[name].isNotNull()).select(f.col(f"{name}.*"))


def count(files: Sequence[Sequence[Any]], source: KafkaSource) -> int:
    """How many of the staged messages were set aside, by the footers of the files."""
    return sum(_count(path, f"{column_of(source)}.offset") for path, _, _ in files)


def _count(path: str, column: str) -> int:
    import pyarrow.parquet as pq

    filesystem, place = filesystem_of(path)
    with filesystem.open_input_file(place) as file:
        footer = pq.read_metadata(file)
    at = next(n for n in range(footer.num_columns) if footer.schema.column(n).path == column)
    found = 0
    for group in range(footer.num_row_groups):
        chunk = footer.row_group(group).column(at)
        found += chunk.num_values - chunk.statistics.null_count
    return found
