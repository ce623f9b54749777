"""Frames of one Spark Connect session on their way between two processes that share it.

A frame is a plan, which travels as protobuf: nothing is pickled. Plans have numbers, which each process
counts from 0 unless it is given a block of its own.
"""

from __future__ import annotations

import re
import uuid

from google.protobuf.message import DecodeError
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.plan import LogicalPlan, Read
from pyspark.sql.connect.proto import Relation
from pyspark.sql.connect.session import SparkSession

_VIEW = re.compile(r"drls_sent_[0-9a-f]{32}")
_NUMBERS = 40  # bits: how many plans a process may make


class _Sent(LogicalPlan):
    """A plan that another process made. It keeps its number, which the columns of its frame name."""

    def __init__(self, relation: Relation) -> None:
        super().__init__(None)
        self._relation = relation
        self._root_plan_id = relation.common.plan_id

    def plan(self, session: object) -> Relation:
        return self._relation


def number_from(block: int) -> None:
    """From now on the plans of this process have numbers of block `block`, which no other process has; the first has 0.

    A frame may be made of the frames of several processes, and Spark finds columns by these numbers.
    """
    LogicalPlan._nextPlanId = block << _NUMBERS


def sent(frame: DataFrame) -> tuple[str | None, bytes]:
    """The name of a view, or none and the plan.

    Protobuf in Python reads 100 levels, which are 50 operations; Spark reads more. A larger plan becomes a temporary
    view of the session, under a name that no other has. Raises PySparkException where Spark refuses it.
    """
    relation = frame._plan.plan(frame._session.client)
    plan = relation.SerializeToString()
    try:
        Relation.FromString(plan)
    except DecodeError:
        name = f"drls_sent_{uuid.uuid4().hex}"
        frame.createOrReplaceTempView(name)
        return name, b""
    return None, plan


def received(spark: SparkSession, view: str | None, plan: bytes) -> DataFrame:
    """The frame that `sent` describes, in this process. Raises ValueError for anything else."""
    if view is not None:
        if not _VIEW.fullmatch(view):
            raise ValueError(f"{view[:100]!r} is not the name of a frame")
        return DataFrame(Read(view, None), spark)
    try:
        return DataFrame(_Sent(Relation.FromString(plan)), spark)
    except DecodeError:
        raise ValueError("the plan cannot be read") from None
