"""How many rows a source gave: known exactly, or not known and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from drls_dagster.engine.counting import Count

UNSAID = "Spark did not say how many it read"
SORTED = "Spark reads a sample before it sorts, and counts those rows as well"
LIMITED = "a LIMIT of the query lets Spark stop before it has read all rows"


@dataclass(frozen=True)
class RowsRead:
    """`rows`, or None and `why` nobody can say exactly; how many of them were set aside, where the source does that."""

    rows: int | None = None
    why: str = ""
    dead_letters: int | None = None


class Tally:
    """What is found of one source in one recipe: when its frame is made, or while Spark reads it."""

    def __init__(self) -> None:
        self.read = RowsRead(why=UNSAID)
        self.count: Count | None = None

    def known(self, rows: int, dead_letters: int | None = None) -> None:
        """The number is in what was pinned, in footers for example."""
        self.read = RowsRead(rows, dead_letters=dead_letters)

    def unknown(self, why: str) -> None:
        self.read = RowsRead(why=why)

    def watch(self, frame: DataFrame) -> DataFrame:
        """The same frame, whose rows Spark counts as it reads them."""
        from drls_dagster.engine.counting import counted

        observed, self.count = counted(frame)
        return observed
