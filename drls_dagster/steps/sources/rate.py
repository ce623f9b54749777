"""The rate source: made-up rows of the minute before the pin."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.positions import Read
from drls_dagster.steps.sources.kind import SourceKind
from drls_dagster.steps.sources.pins import Pin, Place, Reader
from lifecycle.spec import RateSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RATE_SECONDS = 60


@dataclass(frozen=True)
class RatePin(Pin):
    """A moment, in seconds since 1970."""

    second: int

    def stored(self) -> dict[str, Any]:
        return {"second": self.second}

    def __str__(self) -> str:
        return datetime.fromtimestamp(self.second, UTC).isoformat()


class Rate(SourceKind[RateSource, RatePin]):
    """One minute of Spark's rate source: the rows of the 60 seconds before the pin."""

    def pin(self, node: str, source: RateSource, place: Place) -> RatePin:
        return RatePin(int(time.time()))

    def pinned(self, stored: Mapping[str, Any]) -> RatePin:
        return RatePin(stored["second"])

    def read(self, reader: Reader, node: str, source: RateSource, pin: RatePin, between: Read) -> DataFrame:
        from pyspark.sql.connect.functions import builtin as f

        reader.tally.known(RATE_SECONDS * source.rows_per_second)
        first = (pin.second - RATE_SECONDS) * source.rows_per_second
        rows = reader.spark.range(first, pin.second * source.rows_per_second)
        at = f.timestamp_micros((f.col("id") * 1_000_000 / source.rows_per_second).cast("bigint"))
        return rows.select(at.alias("timestamp"), f.col("id").alias("value"))
