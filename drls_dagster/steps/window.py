"""The part of the data that a partitioned run works on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from pyspark.sql.connect.column import Column
    from pyspark.sql.types import DataType


@dataclass(frozen=True)
class Window:
    """`[start, end)` of a time partitioned run, or the keys of a static one.

    `start` and `end` are aware datetimes; `zone` is the pipeline's, in which dates are meant.
    """

    column: str
    keys: tuple[str, ...]
    start: datetime | None = None
    end: datetime | None = None
    hourly: bool = False
    whole: bool = False  # every partition there is

    @property
    def id(self) -> str:
        """Names the window in a run key (D7)."""
        if self.start is not None and self.end is not None:
            return f"{self.start.isoformat()}/{self.end.isoformat()}"
        return ",".join(self.keys)

    def arguments(self) -> dict[str, Any]:
        """What SQL sees as :partition_start, :partition_end and :partition_key.

        Dates of the pipeline's time zone, timestamps where the partitions are hours. A range of partitions has
        the start of the first and the end of the last, and as key the first one's.
        """
        values: dict[str, Any] = {"partition_key": self.keys[0]}
        if self.start is not None and self.end is not None:
            values["partition_start"] = self.start.astimezone(UTC) if self.hourly else self.start.date()
            values["partition_end"] = self.end.astimezone(UTC) if self.hourly else self.end.date()
        return values

    def condition(self, kind: DataType, sink: str) -> Column:
        """The rows of the window, as a condition on the column, which is of type `kind` (D6).

        Raises DrlsError where the column cannot be compared with the partitions.
        """
        from pyspark.sql.connect.functions import builtin as f

        column = f.col(f"`{self.column}`")
        if self.start is None or self.end is None:
            # Literals of the column's own type, so that Iceberg can compare them with its partitions.
            return column.isin(*(f.lit(key).cast(kind) for key in self.keys))
        start, end = self.bounds(kind, sink)
        return (column >= f.lit(start)) & (column < f.lit(end))

    def bounds(self, kind: DataType, sink: str) -> tuple[date, date]:
        """Start and end as values of the column's type. Raises DrlsError where there are none."""
        from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

        if self.start is None or self.end is None:
            raise ValueError("a static window has no bounds")
        if isinstance(kind, DateType) and not self.hourly:
            return self.start.date(), self.end.date()
        if isinstance(kind, TimestampType):
            return self.start.astimezone(UTC), self.end.astimezone(UTC)
        if isinstance(kind, TimestampNTZType):
            return self.start.replace(tzinfo=None), self.end.replace(tzinfo=None)
        wanted = "timestamp" if self.hourly else "date or timestamp"
        raise DrlsError(
            f"sink '{sink}': the partition column '{self.column}' is {kind.simpleString()}, not {wanted}; cast it"
        )
