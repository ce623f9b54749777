"""The base of every value here, and the types that all of them share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


class Frozen(BaseModel):
    """A value: never changed in place, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_int(value: object) -> object:
    return int(value) if isinstance(value, str) else value


# Iceberg's ids use 63 bits; JSON numbers are exact to 53, so they travel as text.
SnapshotId = Annotated[int, BeforeValidator(_as_int), PlainSerializer(str, return_type=str, when_used="json")]
# How far a topic of Kafka was read: `0=120,1=87`, partition by partition.
Offsets = Annotated[str, Field(pattern=r"^[0-9]+=[0-9]+(,[0-9]+=[0-9]+)*$")]
# How far a table of a database was read by a column, as JSON: {"value": "120", "column": "id", …}.
ColumnValue = Annotated[str, Field(pattern=r"^\{.*\}$", max_length=2000)]
