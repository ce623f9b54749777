"""Counting the rows of a frame while Spark reads them: an observation, for which nothing is read a second time.

Spark answers with what it observed to the command that carries the observation in its plan. A frame that is made of
views does not carry those of the frames behind them, so whoever acts on it names them (`Watch`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.connect import dataframe as connect
from pyspark.sql.connect.client import SparkConnectClient
from pyspark.sql.connect.functions import builtin as f
from pyspark.sql.connect.plan import LogicalPlan
from pyspark.sql.connect.proto import Relation

ROWS = "rows"


@dataclass(frozen=True)
class Count:
    """An observation: its name, which no other has, and the number of its plan."""

    name: str
    plan: int


def counted(frame: DataFrame) -> tuple[DataFrame, Count]:
    """The frame, whose rows Spark counts whenever it reads them."""
    name = f"drls_rows_{uuid.uuid4().hex}"
    observed: Any = frame.observe(name, f.count(f.lit(1)).alias(ROWS))
    return observed, Count(name, observed._plan._plan_id)


class Watch:
    """The counts that actions on frames made of counted ones bring back."""

    def __init__(self, counts: Sequence[Count]) -> None:
        self._counts = tuple(counts)
        self._watched: list[DataFrame] = []

    def over(self, frame: DataFrame, alias: str = "") -> DataFrame:
        """The same frame, whose action is asked for the counts."""
        if not self._counts:
            return frame.alias(alias) if alias else frame
        given: Any = frame
        asking: Any = connect.DataFrame(_Asking(given._plan, self._counts), given._session)
        asking._cached_schema = given._cached_schema
        watched: DataFrame = asking.alias(alias) if alias else asking
        self._watched.append(watched)
        return watched

    def heard(self) -> Mapping[Count, int]:
        """What was counted in the last action that said it; a count that Spark kept to itself is not there."""
        named = {count.name: count for count in self._counts}
        found: dict[Count, int] = {}
        for frame in self._watched:
            info = frame.executionInfo
            for name, values in info.flows if info is not None else ():
                if name in named and ROWS in values:
                    found[named[name]] = int(values[ROWS])
        return found


class _Asking(LogicalPlan):
    """A plan with references that it does not use: Spark looks for observations in all of a command."""

    def __init__(self, child: LogicalPlan, counts: Sequence[Count]) -> None:
        super().__init__(child)
        self._counts = counts

    def plan(self, session: SparkConnectClient) -> Relation:
        assert self._child is not None  # noqa: S101
        relation = self._create_proto_relation()
        relation.with_relations.root.CopyFrom(self._child.plan(session))
        for count in self._counts:
            reference = relation.with_relations.references.add()
            reference.common.plan_id = count.plan
            reference.collect_metrics.name = count.name
            reference.collect_metrics.input.local_relation.schema = "unused INT"
            metric: Any = f.count(f.lit(1)).alias(ROWS)
            reference.collect_metrics.metrics.append(metric.to_plan(session))
        return relation
