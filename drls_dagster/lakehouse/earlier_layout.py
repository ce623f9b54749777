"""Files that lie in an earlier partitioning of their table, which Spark's dynamic overwrite does not look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.transforms import BucketTransform, IdentityTransform, TruncateTransform, VoidTransform

from drls_dagster.lakehouse.columns import spark_quoted

if TYPE_CHECKING:
    from pyiceberg.table import Table

_FUNCTIONS = {"year": "years", "month": "months", "day": "days", "hour": "hours"}


@dataclass(frozen=True)
class PartitionValue:
    """A field of a table's partitioning as Spark computes it: `function` is Iceberg's, or none for the column itself.

    `column` is the path to a column; `argument` the number of buckets, or the width.
    """

    column: tuple[str, ...]
    function: str = ""
    argument: int | None = None

    def sql(self, catalog: str, table: str = "") -> str:
        """The expression, of the columns of `table` where one is named."""
        path = ".".join(map(spark_quoted, (*filter(None, [table]), *self.column)))
        if not self.function:
            return path
        given = path if self.argument is None else f"{self.argument}, {path}"
        return f"`{catalog}`.system.{self.function}({given})"


def values_over_earlier_files(table: Table, snapshot_id: int | None) -> tuple[PartitionValue, ...]:
    """The table's present partition fields, where a snapshot has files of an earlier partitioning; else nothing."""
    snapshot = table.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
    if snapshot is None or len(table.specs()) == 1:
        return ()
    now = table.spec().spec_id
    earlier = [one for one in snapshot.manifests(table.io) if one.partition_spec_id != now]
    if not any((one.existing_files_count or 0) + (one.added_files_count or 0) for one in earlier):
        return ()
    return tuple(
        _value(table, field.source_id, field.transform)
        for field in table.spec().fields
        if not isinstance(field.transform, VoidTransform)
    )


def _value(table: Table, source_id: int, transform: object) -> PartitionValue:
    schema = table.schema()
    top = {field.field_id: field.name for field in schema.fields}
    column = (top[source_id],) if source_id in top else tuple((schema.find_column_name(source_id) or "").split("."))
    match transform:
        case IdentityTransform():
            return PartitionValue(column)
        case BucketTransform():
            return PartitionValue(column, "bucket", transform.num_buckets)
        case TruncateTransform():
            return PartitionValue(column, "truncate", transform.width)
        case _:
            return PartitionValue(column, _FUNCTIONS[str(transform)])
