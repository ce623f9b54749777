"""Transforms, distinguished by `step`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from lifecycle.spec.base import Column, Entrypoint, Frozen, NodeId, Seconds, Text, Whole
from lifecycle.spec.columns import Schema
from lifecycle.spec.custom import CustomTransform
from lifecycle.spec.dbt import DbtTransform
from lifecycle.spec.dead_letters import DeadLettersTransform
from lifecycle.spec.errors import FieldError
from lifecycle.spec.kind import Step


class SparkTransform(Step):
    """Exactly one of `sql` (upstream node ids are its tables), `python` (source that defines
    `transform(spark, <upstream ids>)`) or `entrypoint` (`module:function` of the same shape)."""

    id: NodeId
    type: Literal["transform"] = "transform"
    step: Literal["spark"] = "spark"
    sql: Text | None = None
    python: Text | None = None
    entrypoint: Entrypoint | None = None

    @model_validator(mode="after")
    def _one_recipe(self) -> SparkTransform:
        if sum(given is not None for given in (self.sql, self.python, self.entrypoint)) != 1:
            raise FieldError(
                "a spark transform needs exactly one definition", "set exactly one of sql, python or entrypoint"
            )
        return self

    @property
    def label(self) -> str:
        return f"Spark {'SQL' if self.sql is not None else 'Python'}"


class Trigger(Frozen):
    """How often a stream processes what has arrived."""

    every: Seconds


class Watermark(Frozen):
    """How late events may be: `delay` seconds behind the newest value of `column`."""

    column: Column
    delay: Seconds


class SparkStreamTransform(Step):
    """A streaming query; its checkpoint belongs to the version and the schema."""

    id: NodeId
    type: Literal["transform"] = "transform"
    step: Literal["sparkStream"] = "sparkStream"
    sql: Text | None = None
    python: Text | None = None
    entrypoint: Entrypoint | None = None
    trigger: Trigger | None = None
    watermark: Watermark | None = None

    @model_validator(mode="after")
    def _one_recipe(self) -> SparkStreamTransform:
        if sum(given is not None for given in (self.sql, self.python, self.entrypoint)) != 1:
            raise FieldError(
                "a sparkStream transform needs exactly one definition", "set exactly one of sql, python or entrypoint"
            )
        return self

    @property
    def label(self) -> str:
        return f"Spark stream {'SQL' if self.sql is not None else 'Python'}"


class RayResources(Frozen):
    """What each of `concurrency` workers gets; parts of a CPU or GPU are allowed."""

    cpus: Annotated[float, Strict(), Field(ge=0, le=1024)] = 1
    gpus: Annotated[float, Strict(), Field(ge=0, le=64)] = 0
    concurrency: Annotated[Whole, Field(ge=1, le=10_000)] = 1


class RayProcessTransform(Step):
    """A function from pyarrow.Table to pyarrow.Table, called for batches of `batch_size` rows."""

    one_input = True
    id: NodeId
    type: Literal["transform"] = "transform"
    step: Literal["rayProcess"] = "rayProcess"
    python: Text | None = None
    entrypoint: Entrypoint | None = None
    batch_size: Annotated[Whole, Field(ge=1, le=10_000_000)] = 8192
    resources: RayResources = RayResources()
    output_schema: Schema

    @model_validator(mode="after")
    def _one_recipe(self) -> RayProcessTransform:
        if (self.python is None) == (self.entrypoint is None):
            raise FieldError(
                "a rayProcess transform needs exactly one definition", "set exactly one of python or entrypoint"
            )
        return self

    @property
    def label(self) -> str:
        return "Ray Python"


AnyTransform = Annotated[
    SparkTransform | SparkStreamTransform | RayProcessTransform | DbtTransform | CustomTransform | DeadLettersTransform,
    Field(discriminator="step"),
]
