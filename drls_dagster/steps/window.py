"""The part of the data that a partitioned run works on, and what its ends are for columns of each type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

Kind = Literal["date", "timestamp", "timestamp_ntz"]
KINDS: tuple[Kind, ...] = ("date", "timestamp", "timestamp_ntz")


def no_value(node_id: str, name: str) -> str:
    """What to say where a run has no value for the `:name` in the SQL or query of a node."""
    if name in {"partition_start", "partition_end", "partition_key"}:
        return f"node '{node_id}': no value for :{name}; run one of the pipeline's partitions"
    return f"node '{node_id}': no value for :{name}; pass --param {name}=…, or give the parameter a default"


@dataclass(frozen=True)
class Bound:
    """Where a window begins or ends: one instant, in the time zone of the pipeline.

    `column` is the one that the pipeline is partitioned by; `hourly` says that its partitions are hours.
    """

    moment: datetime
    column: str = ""
    hourly: bool = False

    @property
    def is_utc(self) -> bool:
        """Whether dates, wall clocks and instants agree, as Spark's sessions are in UTC."""
        return str(self.moment.tzinfo) == "UTC"

    def sql(self, kind: Kind) -> str:
        """A SQL literal of the type `kind` that means this instant."""
        if kind == "timestamp":
            return f"TIMESTAMP'{_text(self.moment.astimezone(UTC))}Z'"
        wall = wall_clock(self.moment)
        return f"DATE'{wall.date().isoformat()}'" if kind == "date" else f"TIMESTAMP_NTZ'{_text(wall)}'"


@dataclass(frozen=True)
class Window:
    """`[start, end)` of a time partitioned run, or the keys of a static one.

    `start` and `end` are aware datetimes in the pipeline's time zone, in which dates and wall clocks are meant.
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
        """The values of :partition_start, :partition_end and :partition_key.

        A range of partitions has the start of the first and the end of the last, and as key that of the first. The
        ends are a `Bound` outside UTC, as what they are then depends on what SQL compares them with; in UTC
        dates, or timestamps where the partitions are hours.
        """
        values: dict[str, Any] = {"partition_key": self.keys[0]}
        if self.start is not None and self.end is not None:
            for name, moment in (("partition_start", self.start), ("partition_end", self.end)):
                bound = Bound(moment, self.column, self.hourly)
                in_utc = moment.astimezone(UTC) if self.hourly else moment.date()
                values[name] = in_utc if bound.is_utc else bound
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
        start, end = self.bounds(kind.simpleString(), sink)
        return (column >= f.expr(start)) & (column < f.expr(end))

    def bounds(self, kind: str, sink: str) -> tuple[str, str]:
        """Start and end as SQL literals of the column's type. Raises DrlsError where the type has none."""
        if self.start is None or self.end is None:
            raise ValueError("a static window has no bounds")
        known: Kind | None = next((one for one in KINDS if one == kind), None)
        if known is None or (known == "date" and self.hourly):
            wanted = "timestamp" if self.hourly else "date or timestamp"
            raise DrlsError(f"sink '{sink}': the partition column '{self.column}' is {kind}, not {wanted}; cast it")
        return Bound(self.start).sql(known), Bound(self.end).sql(known)

    def is_empty(self, kind: str) -> bool:
        """Whether no value of the type lies in the window: the second of two hours that the clock shows alike."""
        if self.start is None or self.end is None:
            return False
        start, end = self.bounds(kind, "")
        return start == end

    def repeated_hours(self, kind: str) -> str | None:
        """A sentence about wall clock values that the clock shows twice in this window, None where there are none."""
        if kind != "timestamp_ntz" or not self.hourly or self.start is None or self.end is None:
            return None
        twice = [moment for moment in (self.start, self.end) if _comes_twice(moment)]
        if not twice:
            return None
        hour = twice[0].replace(tzinfo=None).isoformat(" ", "minutes")
        return (
            f"the clock of {twice[0].tzinfo} shows {hour} twice: rows of that hour belong to the first of its "
            f"two partitions, because '{self.column}' has no time zone; use a timestamp column to distinguish "
            "them"
        )


def wall_clock(moment: datetime) -> datetime:
    """The first wall clock value, without a zone, that is not before an instant.

    A clock that is put back shows some values twice; they mean the first time, as in Python (fold=0) and Java. A value
    that the clock skips means the time that far after the change. Where that would be another date (in Nuuk,
    30 March 2024 ended at 23:00), it means the change, so that dates begin at midnight. So every value has one place
    between windows.
    """
    zone, instant = moment.tzinfo, moment.astimezone(UTC)
    local = instant.astimezone(zone)
    offset = _offset(local)
    if local.fold:
        return (_change_before(instant, local) + _offset(local.replace(fold=0))).replace(tzinfo=None)
    skipped = offset - _offset((instant - timedelta(microseconds=1)).astimezone(zone))
    wall = local.replace(tzinfo=None)
    if skipped <= timedelta():
        return wall
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if wall - midnight > skipped:
        return wall - skipped
    # Of two midnights, where a day is skipped, the first.
    return max(midnight - timedelta(days=(skipped - (wall - midnight)).days), wall - skipped)


def _change_before(instant: datetime, local: datetime) -> datetime:
    """The instant at which the clock was put back, to the second; `local` is its second reading of a value."""
    last = _offset(local)
    before = instant - (_offset(local.replace(fold=0)) - last) - timedelta(seconds=1)
    after = instant
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if _offset(middle.astimezone(local.tzinfo)) == last:
            after = middle
        else:
            before = middle
    return after


def _comes_twice(moment: datetime) -> bool:
    local = moment.astimezone(UTC).astimezone(moment.tzinfo)
    return _offset(local.replace(fold=0)) > _offset(local.replace(fold=1))


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ")
