"""Values that Spark's readers of text take for others: `1,5` for 15, a date with a time of day for the date alone.

Such columns are read as text and converted here. A text that is not wholly a value of the type is a misfit. The mode
says what becomes of it, as of everything that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.steps.sources.files.parquet_types import Array, Kind, Leaf, Map, Struct, ddl, declared
from drls_dagster.steps.sources.files.text_files import NO_DATE, NO_DECIMAL

if TYPE_CHECKING:
    from pyspark.sql import Column

_DAY = r"^\s*[+-]?\d{4,7}-\d{1,2}-\d{1,2}(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?\s*$"


class Strict:
    """The columns of a source that are read as text and converted; `kinds` as the source declares them.

    `options` have names in lower case. A `dateFormat` says how dates are written, and is left to Spark.
    """

    def __init__(self, node: str, kinds: Mapping[str, str], options: Mapping[str, str]) -> None:
        self._node = node
        self._mode = options["mode"].upper()
        dates = "dateformat" not in options
        self._kinds = {name: kind for name, text in kinds.items() if _concerned(kind := declared(text), dates)}
        self._dates = dates

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def read_as(self, name: str, kind: str) -> str:
        """The type that Spark reads a column as."""
        return ddl(_as_text(self._kinds[name], self._dates)) if name in self._kinds else kind

    def made(self) -> dict[str, Column]:
        """The converted columns: a misfit is null, or an error with `mode: FAILFAST`."""
        from pyspark.sql.connect.functions import builtin as f

        found: dict[str, Column] = {}
        for name, kind in self._kinds.items():
            column = f.col(spark_quoted(name))
            found[name] = _converted(column, kind, self._dates)
            if self._mode == "FAILFAST":
                what = NO_DECIMAL if _concerned(kind, dates=False) else NO_DATE
                told = f.raise_error(f.lit(f"{what}'{name}' of node '{self._node}'"))
                found[name] = f.when(self._misfit(name), told.cast(ddl(kind))).otherwise(found[name])
        return found

    def drops(self) -> Column | None:
        """The condition that a row stays; None where none goes."""
        return ~self.misfits() if self._kinds and self._mode == "DROPMALFORMED" else None

    def broken(self, name: str, columns: Sequence[str], sep: str) -> Column:
        """The column for broken records: what Spark wrote, and each record with a misfit, written again."""
        from pyspark.sql.connect.functions import builtin as f

        own = f.col(spark_quoted(name))
        read = f.struct(*(f.col(spark_quoted(one)) for one in columns))
        again = f.to_csv(read, {"sep": sep}) if sep else f.to_json(read)
        return f.when(own.isNull() & self.misfits(), again).otherwise(own)

    def misfits(self) -> Column:
        """Whether a row has a misfit."""
        return reduce(lambda one, other: one | other, (self._misfit(name) for name in self._kinds))

    def _misfit(self, name: str) -> Column:
        from pyspark.sql.connect.functions import builtin as f

        return f.coalesce(_misfit(f.col(spark_quoted(name)), self._kinds[name], self._dates), f.lit(False))


def _is_strict(kind: Leaf, dates: bool) -> bool:
    return kind.kind.startswith("decimal") or (dates and kind.kind == "date")


def _concerned(kind: Kind, dates: bool) -> bool:
    if isinstance(kind, Leaf):
        return _is_strict(kind, dates)
    if isinstance(kind, Struct):
        return any(_concerned(of, dates) for of in kind.fields.values())
    return _concerned(kind.element if isinstance(kind, Array) else kind.value, dates)


def _as_text(kind: Kind, dates: bool) -> Kind:
    if isinstance(kind, Leaf):
        return Leaf("string", "string", "string") if _is_strict(kind, dates) else kind
    if isinstance(kind, Struct):
        return Struct({name: _as_text(of, dates) for name, of in kind.fields.items()})
    if isinstance(kind, Array):
        return Array(_as_text(kind.element, dates))
    return Map(kind.key, _as_text(kind.value, dates))


def _converted(column: Column, kind: Kind, dates: bool) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    if not _concerned(kind, dates):
        return column
    if isinstance(kind, Leaf):
        return f.when(_fits(column, kind), column.try_cast(kind.kind))
    if isinstance(kind, Struct):
        parts = [_converted(column[name], of, dates).alias(name) for name, of in kind.fields.items()]
        return f.when(column.isNotNull(), f.struct(*parts))
    if isinstance(kind, Array):
        return f.transform(column, lambda one: _converted(one, kind.element, dates))
    return f.transform_values(column, lambda _, value: _converted(value, kind.value, dates))


def _misfit(column: Column, kind: Kind, dates: bool) -> Column:
    """Whether a column holds a misfit; null where the column is null."""
    from pyspark.sql.connect.functions import builtin as f

    if isinstance(kind, Leaf):
        return column.isNotNull() & ~f.coalesce(_fits(column, kind), f.lit(False))
    if isinstance(kind, Struct):
        inside = [_misfit(column[name], of, dates) for name, of in kind.fields.items() if _concerned(of, dates)]
        return reduce(lambda one, other: one | other, (f.coalesce(one, f.lit(False)) for one in inside))
    values = column if isinstance(kind, Array) else f.map_values(column)
    element = kind.element if isinstance(kind, Array) else kind.value
    return f.exists(values, lambda one: f.coalesce(_misfit(one, element, dates), f.lit(False)))


def _fits(text: Column, kind: Leaf) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    known = text.try_cast(kind.kind).isNotNull()
    if kind.kind != "date":
        return known & ~text.contains(",")
    # Most dates are known by their shape, without the regular expression.
    shape = (f.length(text) == 10) & (text.substr(5, 1) == "-") & (text.substr(8, 1) == "-")
    return known & (shape | text.rlike(_DAY))
