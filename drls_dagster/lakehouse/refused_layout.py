"""Layouts that Iceberg's libraries would refuse in their own words, or accept and then no longer open the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyiceberg.transforms import IdentityTransform

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.columns import has_map, type_words
from drls_dagster.lakehouse.layout import parsed_field, partition_text

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

    from lifecycle.spec import SinkNode

_FORMATS = ("parquet", "orc", "avro")
_CODECS = {
    "parquet": ("zstd", "snappy", "gzip", "lz4", "lz4_raw", "uncompressed"),
    "orc": ("zstd", "snappy", "zlib", "lz4", "lzo", "none"),
    "avro": ("zstd", "snappy", "gzip", "uncompressed"),
}
_NUMBER = re.compile(r".*(-bytes|-limit|-ms|-max|-size|-to-merge|-defaults|\.compression-level|\.num-retries)")
_TAKES = {
    "year": "a date or a timestamp", "month": "a date or a timestamp", "day": "a date or a timestamp",
    "hour": "a timestamp", "bucket": "a whole number, a decimal, a date, a timestamp, a text or a binary",
    "truncate": "a whole number, a decimal, a text or a binary", "identity": "a single value",
}  # fmt: skip


def refuse_layout(sink: SinkNode, frame: Schema, table: Schema | None = None) -> None:
    """Raises DrlsError naming sink, column or property and the remedy. `table` has the columns that the frame lacks."""
    for column in frame.fields:
        if not column.name.strip():
            raise DrlsError(f"sink '{sink.id}': a column of its input has an empty name; name it with AS")
    for key in sink.keys or ():
        kind = _type_of(key, frame, table)
        if kind is not None and has_map(kind):
            raise DrlsError(
                f"sink '{sink.id}' merges by '{key}', which is {type_words(kind)} and cannot be compared; merge by "
                "another column"
            )
    names = {name.lower() for name in frame.column_names}
    for part in sink.partition_by:
        column, transform = parsed_field(partition_text(part))
        kind = _type_of(column, frame, table)
        if kind is not None and not transform.can_transform(kind):
            raise DrlsError(
                f"sink '{sink.id}' partitions by {partition_text(part)}, but '{column}' is {type_words(kind)}: "
                f"{part.transform} takes {_TAKES[part.transform]}; cast the column, or partition by another one"
            )
        made = "_".join(filter(None, (column.replace(".", "_"), part.transform, str(part.argument or ""))))
        if table is None and part.transform != "identity" and made.lower() in names:
            raise DrlsError(
                f"sink '{sink.id}' partitions by {partition_text(part)}, which Iceberg calls '{made}' as a column of "
                "the input; rename that column"
            )
    for sorted_by in sink.sort_by:
        kind = _type_of(sorted_by.column, frame, table)
        if kind is not None and not IdentityTransform().can_transform(kind):
            raise DrlsError(
                f"sink '{sink.id}' sorts by '{sorted_by.column}', which is {type_words(kind)} and has no order; sort "
                "by one of its parts"
            )
    for name, value in sink.properties.items():
        wrong = _wrong_value(name, value)
        if wrong:
            raise DrlsError(f"sink '{sink.id}': the property {name} is '{value}', but {wrong}; correct it")


def _type_of(column: str, *schemas: Schema | None) -> IcebergType | None:
    for schema in schemas:
        try:
            if schema is not None:
                return schema.find_field(column, case_sensitive=False).field_type
        except ValueError:
            continue
    return None


def _wrong_value(name: str, value: str) -> str:
    if name == "write.format.default" and value.lower() not in _FORMATS:
        return f"Iceberg writes {', '.join(_FORMATS)}"
    found = re.fullmatch(r"write\.(parquet|orc|avro)\.compression-codec", name)
    if found and value.lower() not in _CODECS[found[1]]:
        return f"{found[1]} files are compressed with {', '.join(_CODECS[found[1]])}"
    if _NUMBER.fullmatch(name) and not re.fullmatch(r"-?\d+", value):
        return "a whole number is needed"
    return ""
