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
        from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

        column = f.col(f"`{self.column}`")
        if self.start is None or self.end is None:
            return column.cast("string").isin(*self.keys) if len(self.keys) > 1 else column == f.lit(self.keys[0])
        bounds: tuple[date, date]
        if isinstance(kind, DateType) and not self.hourly:
            bounds = (self.start.date(), self.end.date())
        elif isinstance(kind, TimestampType):
            bounds = (self.start.astimezone(UTC), self.end.astimezone(UTC))
        elif isinstance(kind, TimestampNTZType):
            bounds = (self.start.replace(tzinfo=None), self.end.replace(tzinfo=None))
        else:
            wanted = "timestamp" if self.hourly else "date or timestamp"
            raise DrlsError(
                f"sink '{sink}': the partition column '{self.column}' is {kind.simpleString()}, not {wanted}; cast it"
            )
        literals = [f.lit(bound) for bound in bounds]
        return (column >= literals[0]) & (column < literals[1])
