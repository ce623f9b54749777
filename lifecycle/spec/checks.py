"""Data checks: what a monitor asks of the node it is attached to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from lifecycle.spec.base import Column, Columns, Frozen, NodeId, PlainScalar, Seconds, Text, Whole
from lifecycle.spec.errors import FieldError
from lifecycle.spec.repeated import repeated

CheckName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]


class Check(Frozen):
    """What all checks have. A failed `blocking` check publishes nothing, a failed `warn` check is reported.

    `name` is unique inside the monitor; without one in the file, the monitor makes it of kind and columns.
    """

    name: CheckName = ""
    severity: Literal["blocking", "warn"] = "blocking"

    def about(self) -> tuple[str, ...]:
        """The columns the check is about, for its name."""
        return ()


class RowCount(Check):
    """Between `min` and `max` rows, both included."""

    kind: Literal["row_count"] = "row_count"
    min: Annotated[Whole, Field(ge=0)] | None = None
    max: Annotated[Whole, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _a_range(self) -> RowCount:
        if self.min is None and self.max is None:
            raise FieldError("a row_count check needs a limit", "set min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise FieldError(f"min {self.min} is more than max {self.max}", "swap them")
        return self


class NotNull(Check):
    """No null in any of the columns."""

    kind: Literal["not_null"] = "not_null"
    columns: Columns

    def about(self) -> tuple[str, ...]:
        return self.columns


class Unique(Check):
    """No two rows with the same values in the columns, taken together."""

    kind: Literal["unique"] = "unique"
    columns: Columns

    def about(self) -> tuple[str, ...]:
        return self.columns


class AcceptedValues(Check):
    """Every value that is not null is one of `values`, compared as the column's type."""

    kind: Literal["accepted_values"] = "accepted_values"
    column: Column
    values: Annotated[tuple[PlainScalar, ...], Field(min_length=1)]

    def about(self) -> tuple[str, ...]:
        return (self.column,)


class Range(Check):
    """Every value that is not null lies from `min` to `max`, both included, compared as the column's type."""

    kind: Literal["range"] = "range"
    column: Column
    min: PlainScalar | None = None
    max: PlainScalar | None = None

    @model_validator(mode="after")
    def _a_range(self) -> Range:
        if self.min is None and self.max is None:
            raise FieldError("a range check needs a limit", "set min, max or both")
        if isinstance(self.min, int | float) and isinstance(self.max, int | float) and self.min > self.max:
            raise FieldError(f"min {self.min} is more than max {self.max}", "swap them")
        return self

    def about(self) -> tuple[str, ...]:
        return (self.column,)


class Freshness(Check):
    """The newest value of `column` is at most `within` seconds old, and not in the future.

    Five minutes ahead are allowed for clocks that differ; for a date or a timestamp without a zone also the 14 hours
    by which the earliest time zone is ahead of UTC.
    """

    kind: Literal["freshness"] = "freshness"
    column: Column
    within: Seconds

    def about(self) -> tuple[str, ...]:
        return (self.column,)


class SqlCheck(Check):
    """One SELECT that returns one boolean; its only table is the node that the monitor is attached to."""

    kind: Literal["sql"] = "sql"
    sql: Text


AnyCheck = Annotated[
    RowCount | NotNull | Unique | AcceptedValues | Range | Freshness | SqlCheck, Field(discriminator="kind")
]


def check_names(checks: Sequence[AnyCheck]) -> tuple[str, ...]:
    """The name of each check: its own, or one made of kind and columns, with _2, _3 … where that is taken."""
    taken = {check.name for check in checks if check.name}
    names: list[str] = []
    for check in checks:
        name = check.name
        if not name:
            stem = re.sub(r"[^a-z0-9]+", "_", "_".join((check.kind, *check.about())).lower())[:90]
            name, count = stem, 1
            while name in taken:
                count += 1
                name = f"{stem}_{count}"
            taken.add(name)
        names.append(name)
    return tuple(names)


def _with_names(checks: tuple[AnyCheck, ...]) -> tuple[AnyCheck, ...]:
    if twins := repeated(check.name for check in checks if check.name):
        raise FieldError(f"two checks have the name '{twins[0]}'", "give each check of a monitor its own name")
    return tuple(
        check if check.name else check.model_copy(update={"name": name})
        for check, name in zip(checks, check_names(checks), strict=True)
    )


def without_derived_names(checks: tuple[AnyCheck, ...]) -> tuple[AnyCheck, ...]:
    """The checks as a person would write them: names only where they differ from the derived ones."""
    bare = tuple(check.model_copy(update={"name": ""}) for check in checks)
    kept = tuple(
        without if derived == check.name else check
        for check, without, derived in zip(checks, bare, check_names(bare), strict=True)
    )
    return kept if check_names(kept) == tuple(check.name for check in checks) else checks


class MonitorNode(Frozen):
    """Checks on the one node that an edge attaches the monitor to."""

    id: NodeId
    type: Literal["monitor"] = "monitor"
    checks: Annotated[tuple[AnyCheck, ...], Field(min_length=1, max_length=500), AfterValidator(_with_names)]
