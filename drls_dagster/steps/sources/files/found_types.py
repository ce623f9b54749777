"""Types that Spark finds in CSV files, held to what people write as such: it takes `00123` for 123, and `5d` for 5.0.

`10:30` is to Spark half past ten of the day on which it looks, and `2024-01` the first of that month. A column with a
text that is not written as a value of the type is text, as in DuckDB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.steps.sources.files.framing import ddl

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.types import StructType

_WHOLE = "^-?(0|[1-9][0-9]*)$"
_TIME = "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}.*)?"
_PLAIN = {
    "int": _WHOLE,
    "bigint": _WHOLE,
    "decimal": _WHOLE,
    "double": r"^(-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Inf|-?Infinity)$",
    "date": "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$",
    "timestamp": f"^[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}([T ]{_TIME})?$",
}
# Who says how values are written has them read that way.
_FORMATS = {
    "date": ("dateformat",),
    "timestamp": ("timestampformat", "timestampntzformat", "dateformat"),
    "double": ("nanvalue", "positiveinf", "negativeinf", "locale"),
}


def only_plain(spark: SparkSession, paths: Sequence[str], found: StructType, options: Mapping[str, str]) -> list[str]:
    """The types of the columns of `found`, in order; text where one holds what is not written as its type."""
    from pyspark.sql.connect.functions import builtin as f

    kinds = [ddl(field.dataType) for field in found]
    patterns = {at: pattern for at, kind in enumerate(kinds) if (pattern := _pattern(kind, options))}
    if not patterns:
        return kinds
    names = [f"c{at}" for at in range(len(kinds))]
    text = spark.read.format("csv").options(**{**options, "enforceSchema": "true"})
    rows = text.schema(", ".join(f"{spark_quoted(name)} STRING" for name in names)).load(list(paths))
    trims = [options.get(f"ignore{side}whitespace", "false").lower() == "true" for side in ("leading", "trailing")]
    checks = []
    for at, pattern in patterns.items():
        column = f.trim(f.col(names[at])) if any(trims) else f.col(names[at])
        checks.append(f.coalesce(f.bool_and(column.rlike(pattern)), f.lit(True)).alias(names[at]))
    plain = rows.agg(*checks).collect()[0]
    return [kind if at not in patterns or plain[names[at]] else "string" for at, kind in enumerate(kinds)]


def _pattern(kind: str, options: Mapping[str, str]) -> str:
    base = "decimal" if kind.startswith("decimal") else "timestamp" if kind.startswith("timestamp") else kind
    is_said = any(name in options for name in _FORMATS.get(base, ()))
    return "" if is_said else _PLAIN.get(base, "")
