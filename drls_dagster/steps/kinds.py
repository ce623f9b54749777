"""The step kinds: one row for each kind that a pipeline file can name, whether this release runs it or not.

Add a kind: docs/how-to/extend.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from drls_dagster.steps import custom, dbt, dead_letters, ray_process, spark
from drls_dagster.steps.frames import Builder
from lifecycle.spec import (
    AnyTransform,
    CustomTransform,
    DbtTransform,
    DeadLettersTransform,
    PipelineSpec,
    RayProcessTransform,
    SparkStreamTransform,
    SparkTransform,
)

StepT = TypeVar("StepT", bound=AnyTransform)


@dataclass(frozen=True)
class StepKind(Generic[StepT]):
    """How this release treats the steps of one class; without a `builder` it refuses them.

    `needs` names what the work is done by, which Dagster shows as a kind of the asset. `refused` says what this release
    does not run of a step.
    """

    spec: type[StepT]
    needs: str
    builder: Builder[StepT] | None = None
    refused: Callable[[StepT], str | None] = lambda _: None

    @property
    def name(self) -> str:
        """What a pipeline file writes after `step:`."""
        return self.spec.model_fields["step"].default


KINDS: tuple[StepKind[Any], ...] = (
    StepKind(SparkTransform, needs="spark", builder=Builder(spark.build)),
    StepKind(RayProcessTransform, needs="ray", builder=Builder(ray_process.build, keeps_output=True)),
    StepKind(SparkStreamTransform, needs="spark"),
    StepKind(
        DbtTransform,
        needs="dbt",
        builder=Builder(dbt.build, keeps_output=True, report=dbt.report),
        refused=dbt.refused,
    ),
    StepKind(
        CustomTransform,
        needs="command",
        builder=Builder(custom.build, keeps_output=True, report=custom.report),
        refused=custom.refused,
    ),
    StepKind(DeadLettersTransform, needs="spark", builder=Builder(dead_letters.build)),
)
BUILDERS = {kind.name: kind.builder for kind in KINDS if kind.builder is not None}
_NEEDS = {kind.name: kind.needs for kind in KINDS}
_REFUSED = {kind.name: kind.refused for kind in KINDS}


def ui_kinds(node: AnyTransform) -> set[str]:
    """The kinds of the step's asset in Dagster: what does the work, and the language that its recipe is in."""
    recipe = {name for name in ("sql", "python", "entrypoint") if getattr(node, name, None) is not None}
    language = {"sql"} if "sql" in recipe else {"python"} if recipe else set[str]()
    return {_NEEDS[node.step], *language}


def unsupported(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    """The steps that this release does not run, each with what is wrong and the remedy."""
    *others, last = BUILDERS
    run = f"{', '.join(others)} or {last}"
    for node in spec.transforms:
        if node.step not in BUILDERS:
            yield node.id, f"this release does not run steps of kind {node.step}; use {run}"
        elif (problem := _REFUSED[node.step](node)) is not None:
            yield node.id, problem
