"""Counting the rows of a frame while Spark reads them: an observation, for which nothing is read a second time.

Spark answers with what it observed to the command that carries the observation in its plan. A frame that is made of
views does not carry those of the frames behind them, so whoever acts on it names them (`Watch`).
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.connect import dataframe as connect
from pyspark.sql.connect import proto
from pyspark.sql.connect.client import SparkConnectClient
from pyspark.sql.connect.functions import builtin as f
from pyspark.sql.connect.plan import LogicalPlan
from pyspark.sql.connect.proto import Relation

ROWS = "rows"
# What precedes a parenthesis with a query in it, whose ORDER BY is one of rows.
_OF_QUERIES = {
    "",
    "(",
    ",",
    "AS",
    "FROM",
    "JOIN",
    "IN",
    "EXISTS",
    "ALL",
    "ANY",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "LATERAL",
}


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


def stops_early(frame: DataFrame) -> bool:
    """Whether a frame has a LIMIT, so that Spark may leave rows unread; the views that it reads are not looked into."""
    return any(_is(message, {"limit", "tail"}, _has_limit) for message in _inside(frame))


def sorts(frame: DataFrame) -> bool:
    """Whether a frame is sorted as a whole: Spark then reads a sample first, and counts its rows as well."""
    return any(_is(message, {"sort", "repartition_by_expression"}, _has_order) for message in _inside(frame))


def _inside(frame: DataFrame) -> Iterator[Any]:
    """All messages of a frame's plan."""
    given: Any = frame
    waiting: list[Any] = [given._plan.to_proto(given._session.client)]
    while waiting:
        one = waiting.pop()
        yield one
        for field, value in one.ListFields():
            if field.message_type is not None:
                is_map = field.message_type.GetOptions().map_entry
                parts = list(value.values()) if is_map else value if field.is_repeated else [value]
                waiting += [part for part in parts if hasattr(part, "ListFields")]


def _is(message: Any, kinds: set[str], of_sql: Callable[[str], bool]) -> bool:
    if isinstance(message, proto.SQL):
        return of_sql(message.query)
    return isinstance(message, proto.Relation) and message.WhichOneof("rel_type") in kinds


def _has_limit(sql: str) -> bool:
    """LIMIT, or the sample of a number of rows, which is one."""
    words = [token.text.upper() for token in _words(sql)]
    return "LIMIT" in words or ("TABLESAMPLE" in words and ("ROWS", ")") in itertools.pairwise(words))


def _has_order(sql: str) -> bool:
    """ORDER BY of a query, which is not that of a window or an aggregate; or a hint to spread rows by ranges."""
    if "BY_RANGE" in sql.upper():
        return True
    opened = [""]  # the word before each parenthesis that is open
    before = ""
    for token in _words(sql):
        word = token.text.upper()
        if word == "(":
            opened.append(before)
        elif word == ")" and len(opened) > 1:
            opened.pop()
        elif token.token_type.name == "ORDER_BY" and opened[-1] in _OF_QUERIES:
            return True
        before = word
    return False


def _words(sql: str) -> Iterator[Any]:
    from lifecycle.spec.sqltree import tokens_of

    return (token for token in tokens_of(sql) if token.token_type.name not in {"STRING", "IDENTIFIER"})


class Watch:
    """The counts that actions on frames made of counted ones bring back."""

    def __init__(self, counts: Sequence[Count], *, sorts: bool = False) -> None:
        self.sorts = sorts
        self._counts = tuple(counts)
        self._watched: list[DataFrame] = []

    @property
    def counts_any(self) -> bool:
        return bool(self._counts)

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
