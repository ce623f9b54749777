"""What csv and json share: options, strictness, and characters that were not to be decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.steps.sources.files.heads import Head
from drls_dagster.steps.sources.files.placing import Item, as_utf8
from lifecycle.spec import FilesSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REPLACED = "DRLS: a character could not be decoded in column "
NO_DECIMAL = "DRLS: a text is not a decimal in column "
NO_DATE = "DRLS: a text is not a date in column "
NO_TIMESTAMP = "DRLS: a text is not a timestamp in column "
NO_NUMBER = "DRLS: a text is not a number in column "
_TEXT = ("string", "array", "map", "struct")


def text_options(source: FilesSource) -> dict[str, str]:
    """The source's options, names in lower case, which Spark takes as well, and the mode that they leave open.

    What cannot be read fails the source, unless the spec says another mode or names the column for broken records.
    """
    options = {name.lower(): value for name, value in source.options.items() if name.lower() != "basepath"}
    broken = broken_column(options)
    asks = broken in {name.lower() for name in source.schema_ or ()}
    options.setdefault("mode", "PERMISSIVE" if asks else "FAILFAST")
    return options


def broken_column(options: Mapping[str, str]) -> str:
    """The column that Spark fills with records that it cannot read; no file has it."""
    return options.get("columnnameofcorruptrecord", "_corrupt_record").lower()


def encoding_of(options: Mapping[str, str]) -> str | None:
    return options.get("encoding", options.get("charset"))


def text_item(node: str, head: Head, path: str, ending: str, *, latin: bool) -> Item:
    """A file as Spark reads it, or as a copy in plain UTF-8. `latin`: Spark may decode ISO-8859-1 itself."""
    if head.opaque or (head.sparks and (latin or head.encoding != "iso8859-1")):
        return Item(head.name, path, ending, packed=head.ending)
    return Item(head.name, path, ending, convert=as_utf8(node, head))


def refuse_replaced(
    frame: DataFrame, node: str, options: Mapping[str, str], heads: Sequence[Head], items: Sequence[Item]
) -> DataFrame:
    """The frame, whose texts fail where a character was replaced because it could not be decoded.

    Of a longer file, only the beginning was decoded earlier. With an explicit `mode: PERMISSIVE` the spec has
    asked for what can be had.
    """
    from pyspark.sql.connect.functions import builtin as f

    decoded = all(head.whole or item.convert is not None for head, item in zip(heads, items, strict=True))
    if decoded or options["mode"].upper() == "PERMISSIVE" or encoding_is_total(options):
        return frame
    chosen = []
    for field in frame.schema.fields:
        column = f.col(spark_quoted(field.name))
        if field.dataType.typeName() in _TEXT:
            told = f.raise_error(f.lit(f"{REPLACED}'{field.name}' of node '{node}'")).cast(field.dataType)
            column = f.when(column.cast("string").contains("\ufffd"), told).otherwise(column).alias(field.name)
        chosen.append(column)
    return frame.select(*chosen)


def encoding_is_total(options: Mapping[str, str]) -> bool:
    """Whether every byte is a character: then none is replaced."""
    return (encoding_of(options) or "").upper() == "ISO-8859-1"


def wider(one: str, other: str) -> str:
    """The type that holds both of what two files have in a column: a wider number, a timestamp for a date, or text."""
    if one == other:
        return one
    pair = {one, other}
    numbers = ("tinyint", "smallint", "int", "bigint", "decimal(20,0)", "double")
    if pair <= {*numbers}:
        return max(pair, key=numbers.index)
    if pair in ({"date", "timestamp"}, {"date", "timestamp_ntz"}):
        return next(kind for kind in pair if kind != "date")
    return "string"


def same_names(names: Sequence[str]) -> list[str]:
    """Names that occur twice, upper and lower case being the same."""
    seen: set[str] = set()
    twice: list[str] = []
    for name in names:
        if name.lower() in seen:
            twice.append(name)
        seen.add(name.lower())
    return twice
