"""Where results go: an Iceberg table, how it is written and how it is laid out."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_serializer, model_validator

from lifecycle.spec.base import Column as ColumnName
from lifecycle.spec.base import Columns, Flag, Frozen, NodeId, ScalarText, TableName, Whole
from lifecycle.spec.errors import FieldError, shorten

_CALL = re.compile(
    r"^([A-Za-z]+)\s*\(\s*(?:([0-9]{1,9})\s*,\s*)?([A-Za-z_][A-Za-z0-9_.]*)\s*(?:,\s*([0-9]{1,9})\s*)?\)$"
)
_TRANSFORMS = {
    "year": "year", "years": "year", "month": "month", "months": "month", "day": "day", "days": "day",
    "hour": "hour", "hours": "hour", "bucket": "bucket", "truncate": "truncate", "identity": "identity",
}  # fmt: skip


class PartitionField(Frozen):
    """One field of an Iceberg partition spec; `argument` is the number of buckets or the width of truncate.

    In a file it is text: `region`, `month(day)`, `bucket(16, id)`, `truncate(4, code)`.
    """

    transform: Literal["identity", "year", "month", "day", "hour", "bucket", "truncate"] = "identity"
    column: ColumnName
    argument: Annotated[Whole, Field(ge=1, le=2**31 - 1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: object) -> object:
        if not isinstance(data, str):
            return data
        text = data.strip()
        found = _CALL.match(text)
        if not found:
            if "(" in text:
                raise _not_a_partition(text)
            return {"column": text}
        transform = _TRANSFORMS.get(found[1].lower())
        argument = found[2] or found[4]
        if transform is None or (found[2] and found[4]) or bool(argument) != (transform in {"bucket", "truncate"}):
            raise _not_a_partition(text)
        return {"transform": transform, "column": found[3], "argument": int(argument) if argument else None}

    @model_serializer(mode="plain")
    def text(self) -> str:
        """The form in the file."""
        if self.transform == "identity":
            return self.column
        if self.argument is None:
            return f"{self.transform}({self.column})"
        return f"{self.transform}({self.argument}, {self.column})"


def _not_a_partition(text: str) -> FieldError:
    return FieldError(
        f"'{shorten(text)}' is not a partition field",
        "write a column, year(c), month(c), day(c), hour(c), bucket(16, c) or truncate(4, c)",
    )


class SortField(Frozen):
    """One column of the sort order; in a file also just the column, ascending."""

    column: ColumnName
    order: Literal["asc", "desc"] = "asc"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: object) -> object:
        return {"column": data} if isinstance(data, str) else data

    @model_serializer(mode="plain")
    def _short(self) -> str | dict[str, Any]:
        return self.column if self.order == "asc" else {"column": self.column, "order": self.order}


_PARTITION_SCHEMA = WithJsonSchema({"type": "string", "examples": ["region", "month(day)", "bucket(16, id)"]})
_SORT_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"column": {"type": "string"}, "order": {"enum": ["asc", "desc"]}},
                "required": ["column"],
                "additionalProperties": False,
            },
        ]
    }
)


class SinkNode(Frozen):
    """An Iceberg table that this pipeline, and no other, writes (D11).

    `overwrite_partitions` replaces the window of the run in a partitioned pipeline (D6), else the partitions
    that the result has rows for. `merge` updates rows with the same `keys` and inserts the others. `repeat`
    allows an append that is fed by full sources only, which writes its rows again each run (D5).
    """

    id: NodeId
    type: Literal["sink"] = "sink"
    table: TableName
    mode: Literal["append", "overwrite", "overwrite_partitions", "merge"]
    keys: Columns | None = None
    repeat: Flag = False
    partition_by: tuple[Annotated[PartitionField, _PARTITION_SCHEMA], ...] = ()
    sort_by: tuple[Annotated[SortField, _SORT_SCHEMA], ...] = ()
    properties: dict[str, ScalarText] = Field(default_factory=dict)
    on_schema_change: Literal["add", "fail", "rebuild"] = "add"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that keys, partitioning and sort order name."""
        return (*(self.keys or ()), *(field.column for field in (*self.partition_by, *self.sort_by)))
