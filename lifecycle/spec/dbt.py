"""The `dbt` step: a model of a dbt project, built from the rows of the nodes above it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lifecycle.spec.base import NodeId, Path, PlainScalar
from lifecycle.spec.columns import Schema
from lifecycle.spec.custom import CommandResources
from lifecycle.spec.errors import FieldError, shorten
from lifecycle.spec.kind import Step

# Of a model or a test of dbt.
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]


class DbtTransform(Step):
    """A model of a dbt project, a folder next to the pipeline file. dbt builds what it needs and runs the tests.

    `model` is the model whose rows the step gives; default: the step's id. `select` and `exclude` are dbt's own
    selection; default: the model and what it is made of. `vars` are dbt's. `checks` are the names of tests that Dagster
    shows as checks of their own.
    """

    id: NodeId
    type: Literal["transform"] = "transform"
    step: Literal["dbt"] = "dbt"
    project: Path
    model: Name | None = None
    select: str = Field(default="", max_length=10_000)
    exclude: str = Field(default="", max_length=10_000)
    vars: dict[str, PlainScalar] = Field(default_factory=dict)
    output_schema: Schema | None = None
    checks: tuple[Name, ...] = ()
    resources: CommandResources | None = None

    @model_validator(mode="after")
    def _plain_selection(self) -> DbtTransform:
        for name in ("select", "exclude"):
            for word in getattr(self, name).split():
                # dbt would read it as an option of its own.
                if word.startswith("-"):
                    raise FieldError(f"'{shorten(word)}' in {name} begins with -", "write dbt's node selection alone")
        if len(set(self.checks)) < len(self.checks):
            raise FieldError("a check is named twice", "remove one of them")
        return self

    @property
    def label(self) -> str:
        return "dbt"

    @property
    def subject(self) -> str:
        return f"{self.project} {self.select}".strip()

    @property
    def built_model(self) -> str:
        """The model whose rows the step gives."""
        return self.model or self.id

    @property
    def selection(self) -> tuple[str, ...]:
        """What dbt builds, in its own words."""
        return tuple(self.select.split()) or (f"+{self.built_model}",)

    @property
    def limits(self) -> CommandResources:
        return self.resources or CommandResources()
