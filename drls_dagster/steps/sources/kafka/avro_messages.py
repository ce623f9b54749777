"""Avro messages: with the id of their schema in front, as a registry's clients do, or with one schema for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.steps.sources.kafka.avro_schemas import Unusable, columns, marked

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MOST_SCHEMAS = 200  # of messages that one run reads
# Confluent's wire format: a zero, four bytes of the schema's id, the record.
_HEADER = 5


@dataclass(frozen=True)
class Avro:
    """The schema that messages are read by; `writer` finds the one that an id stands for, None for plain Avro."""

    reader: str
    writer: Callable[[int], str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return columns(self.reader)

    def schemas(self, messages: DataFrame) -> dict[int, str | Unusable]:
        """Those that the messages name. Raises Unusable where there are too many."""
        if self.writer is None:
            return {}
        ids = schema_ids(messages)
        if len(ids) > MOST_SCHEMAS:
            raise Unusable(f"is one of more than {MOST_SCHEMAS} that messages name")
        found: dict[int, str | Unusable] = {}
        for one in ids:
            try:
                found[one] = self.writer(one)
            except Unusable as why:
                found[one] = why
        return found

    def read(self, value: Column, ids: dict[int, str | Unusable]) -> tuple[Column, Column]:
        """The record of a message, null where it has no such record, and then the reason.

        `ids` are the schemas that messages name. Of a message without a value both are null.
        """
        from pyspark.sql.connect.functions import builtin as f

        schema, mark = marked(self.reader)
        nothing = f.lit(None).cast("string")
        if self.writer is None:
            row = _decoded(value, self.reader, schema)
            fits = f.coalesce(row[mark], f.lit(False))
            return row, f.when(value.isNotNull() & ~fits, f.lit(_OTHER))
        payload, number = value.substr(_HEADER + 1, 2**31 - 1), schema_id(value)
        row, why = None, f.when(number.isNull(), f.lit("not in the wire format of a schema registry"))
        for one, text in ids.items():
            if isinstance(text, Unusable):
                why = why.when(number == one, f.lit(f"of the schema {one}, which {text}"))
            else:
                read = _decoded(payload, text, schema)
                row = f.when(number == one, read) if row is None else row.when(number == one, read)
        if row is None:
            row = _decoded(f.lit(None).cast("binary"), self.reader, schema)
        why = why.when(~f.coalesce(row[mark], f.lit(False)), f.lit(_OTHER)).otherwise(nothing)
        return row, f.when(value.isNotNull(), why)


_OTHER = "Avro, but not of the source's schema"


def schema_id(value: Column) -> Column:
    """The id of the schema that a message names; null where it is not in the wire format."""
    from pyspark.sql.connect.functions import builtin as f

    is_framed = (f.length(value) > _HEADER - 1) & (f.hex(value.substr(1, 1)) == "00")
    return f.when(is_framed, f.conv(f.hex(value.substr(2, 4)), 16, 10).cast("long"))


def schema_ids(messages: DataFrame) -> list[int]:
    """The ids of the schemas that the messages name."""
    found = messages.select(schema_id(messages["value"]).alias("id")).distinct().limit(MOST_SCHEMAS + 1).collect()
    return sorted(row["id"] for row in found if row["id"] is not None)


def _decoded(value: Column, writer: str, reader: str) -> Column:
    from pyspark.sql.connect.avro.functions import from_avro

    return from_avro(value, writer, {"avroSchema": reader, "mode": "PERMISSIVE"})
