"""Rows of messages: the value by its format, columns for what Kafka keeps with it, and what does not fit."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.columns import spark_ddl_of_spec, spark_quoted
from drls_dagster.steps.sources.files.parquet_types import ddl, declared
from drls_dagster.steps.sources.files.strict_values import Strict
from drls_dagster.steps.sources.kafka.avro_messages import Avro
from drls_dagster.steps.sources.kafka.set_aside import column_of, letter
from drls_dagster.steps.sources.pins import SourceUnreadable
from lifecycle.spec import KafkaSource

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# Names that no column of a schema has: they begin with a control character.
_HIDDEN = "\u0001"
_BROKEN, _TEXT, _ROW = f"{_HIDDEN}broken", f"{_HIDDEN}text", f"{_HIDDEN}row"
_NO_TEXT = "not UTF-8"
MISFIT = "DRLS: a message is not "
_META = {"key": "key", "headers": "headers", "partition": "partition", "offset": "offset", "timestamp": "timestamp"}
# Options that say how values are written; the names as Spark knows them, in lower case.
_OPTIONS = {
    "json": ("dateformat", "timestampformat", "timestampntzformat", "locale", "timezone"),
    "csv": (
        *("dateformat", "timestampformat", "timestampntzformat", "locale", "timezone", "sep", "delimiter", "quote"),
        *("escape", "nullvalue", "emptyvalue", "ignoreleadingwhitespace", "ignoretrailingwhitespace"),
        *("nanvalue", "positiveinf", "negativeinf"),
    ),
}


def refused(source: KafkaSource) -> str | None:
    """What of a source this release does not read, and the remedy; None where it reads all."""
    if source.format == "avro" and source.schema_file is None and source.registry is None:
        return "avro messages need a schema; set schema_file, or registry: {connection, subject, version}"
    if source.format == "avro" and source.schema_ is not None:
        return "avro messages have the columns of their Avro schema; remove schema"
    known = _OPTIONS.get(source.format, ())
    other = next((name for name in source.options if name.lower() not in known), None)
    if other is not None:
        remedy = f"there are {', '.join(known)}" if known else "remove it"
        return f"'{other}' is no option of {source.format} messages; {remedy}"
    return None


def rows_of(node: str, source: KafkaSource, messages: DataFrame, avro: Avro | None = None) -> DataFrame:
    """The rows of what Spark read of the topic. One that does not fit fails the read when it is written.

    Where the source sets such messages aside, they are in a column of their own (`set_aside`). `avro` says how messages
    in Avro are read. Raises Unusable where they name too many schemas.
    """
    from pyspark.sql.connect.functions import builtin as f

    meta = [f.col(_META[kind]).alias(f"{_HIDDEN}{kind}") for kind in _META]
    value = f.col("value")
    if source.format == "binary":
        return messages.select(value, *_named(source, ""))
    if source.sets_aside or avro is not None:
        meta.append(value.alias(f"{_HIDDEN}value"))
    where = f.concat(f.lit(" partition "), f.col(f"{_HIDDEN}partition"), f.lit(", offset "), f.col(f"{_HIDDEN}offset"))
    if avro is not None:
        return _of_avro(node, source, messages.select(*meta), where, avro)
    broken_text = value.isNotNull() & ~f.coalesce(f.is_valid_utf8(value.cast("string")), f.lit(False))
    texts = messages.select(*meta, value.cast("string").alias(_TEXT), broken_text.alias(_BROKEN))
    if source.format != "text":
        return _parsed(node, source, texts, where)
    if source.sets_aside:
        reason = f.when(f.col(_BROKEN), f.lit(_NO_TEXT))
        return texts.select(f.col(_TEXT).alias("value"), *_named(source, _HIDDEN), _letter(source, reason))
    text = f.when(f.col(_BROKEN), _refuse(node, "UTF-8", where)).otherwise(f.col(_TEXT))
    return texts.select(text.alias("value"), *_named(source, _HIDDEN))


def _of_avro(node: str, source: KafkaSource, messages: DataFrame, where: Column, avro: Avro) -> DataFrame:
    from pyspark.sql.connect.functions import builtin as f

    value = f.col(f"{_HIDDEN}value")
    row, why = avro.read(value, avro.schemas(messages.select(value.alias("value"))))
    rows = messages.select("*", row.alias(_ROW), why.alias(_BROKEN))
    columns = [f.col(spark_quoted(_ROW))[name].alias(name) for name in avro.columns]
    if source.sets_aside:
        return rows.select(*columns, *_named(source, _HIDDEN), _letter(source, f.col(_BROKEN)))
    what = f.concat(f.lit("Avro of the source's schema ("), f.col(_BROKEN), f.lit(")"))
    first = avro.columns[0]
    kind = rows.select(columns[0]).schema.fields[0].dataType
    told = _refuse(node, what, where).cast(kind)
    columns[0] = f.when(f.col(_BROKEN).isNotNull(), told).otherwise(columns[0]).alias(first)
    return rows.select(*columns, *_named(source, _HIDDEN))


def _parsed(node: str, source: KafkaSource, texts: DataFrame, where: Column) -> DataFrame:
    from pyspark.sql.connect.functions import builtin as f

    kinds = dict(source.schema_ or {})
    options = {name.lower(): value for name, value in source.options.items()}
    is_json = source.format == "json"
    strict = Strict(node, kinds, {**options, "mode": "PERMISSIVE"}, is_json=is_json)
    corrupt = "_drls_corrupt_record"
    while corrupt in {name.lower() for name in kinds}:
        corrupt += "_"
    read_as = {**{name: strict.read_as(name, kind) for name, kind in kinds.items()}, corrupt: "string"}
    given = {**options, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": corrupt}
    if is_json:
        given |= {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}
    text = f.col(_TEXT)
    read = (f.from_json if is_json else f.from_csv)(text, spark_ddl_of_spec(read_as), given)
    rows = texts.select("*", read.alias(_ROW)).select("*", f"{spark_quoted(_ROW)}.*")
    # One record and nothing behind it: Spark's parsers stop after the first.
    values = f.coalesce(f.json_array_length(f.concat(f.lit("["), text, f.lit("]"))), f.lit(-1))
    more = values != 1 if is_json else (text == "") | text.rlike("[\\r\\n][^\\r\\n]")
    doubts = [f.col(_BROKEN), f.col(_ROW).isNull(), f.col(spark_quoted(corrupt)).isNotNull(), more]
    if strict:
        doubts.append(strict.misfits())
    misfit = text.isNotNull() & reduce(lambda one, other: one | f.coalesce(other, f.lit(False)), doubts)
    made = strict.made()
    columns = [made.get(name, f.col(spark_quoted(name))).alias(name) for name in kinds]
    if source.sets_aside:
        is_no_json = values == -1 if is_json else f.lit(False)
        why = (
            f.when(f.col(_BROKEN), f.lit(_NO_TEXT))
            .when(is_no_json, f.lit("not JSON"))
            .when(more, f.lit("not one value of JSON" if is_json else "not one record of CSV"))
            .otherwise(f.lit(f"{source.format.upper()}, but not of the source's schema"))
        )
        reason = f.when(misfit, why)
        return rows.select(*columns, *_named(source, _HIDDEN), _letter(source, reason))
    first, kind = next(iter(kinds.items()))
    told = _refuse(node, f"{source.format.upper()} of the source's schema", where)
    columns[0] = f.when(misfit, told.cast(ddl(declared(kind)))).otherwise(columns[0]).alias(first)
    return rows.select(*columns, *_named(source, _HIDDEN))


def _named(source: KafkaSource, prefix: str) -> list[Column]:
    from pyspark.sql.connect.functions import builtin as f

    return [f.col(f"{prefix}{_META[kind]}").alias(name) for kind, name in source.metadata.items()]


def _letter(source: KafkaSource, reason: Column) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    kept = {name: f.col(f"{_HIDDEN}{name}") for name in (*_META, "value")}
    return letter(reason, {"topic": f.lit(source.topic), **kept}).alias(column_of(source))


def _refuse(node: str, what: str | Column, where: Column) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    said = f.lit(what) if isinstance(what, str) else what
    return f.raise_error(f.concat(f.lit(MISFIT), said, f.lit(":"), where))


def explained(node: str, source: KafkaSource, text: str) -> SourceUnreadable | None:
    """What the error of a message that does not fit says, in words."""
    import re

    found = re.search(rf"{MISFIT}(.+?): partition (\d+), offset (\d+)", text)
    if found is None:
        return None
    other = (
        "write format: binary"
        if found[1] == "UTF-8"
        else "correct schema or options, or set such messages aside (bad_messages: set_aside)"
    )
    return SourceUnreadable(
        f"node '{node}': the message at offset {found[3]} of partition {found[2]} of '{source.topic}' is not "
        f"{found[1]}; {other}"
    )
