"""Values that Spark's readers of text take for others: `1,5` for 15, a date with a time of day for the date alone.

In CSV also `5d` for 5.0, `10:30` for half past ten of the day of the run, and `2024` for the first of January.

Such columns are read as text and converted here. A text that is not wholly a value of the type is a misfit. The mode
says what becomes of it, as of everything that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.steps.sources.files.parquet_types import Array, Kind, Leaf, Map, Struct, ddl, declared
from drls_dagster.steps.sources.files.text_files import NO_DATE, NO_DECIMAL, NO_NUMBER, NO_TIMESTAMP

if TYPE_CHECKING:
    from pyspark.sql import Column

# What is wrong, by type.
_WRONG = {
    "decimal": NO_DECIMAL, "date": NO_DATE, "timestamp": NO_TIMESTAMP, "timestamp_ntz": NO_TIMESTAMP,
    "float": NO_NUMBER, "double": NO_NUMBER,
}  # fmt: skip
_FLOATS = ("float", "double")
# An option that says how values are written; Spark then reads every one by it.
_SAID = {
    "date": ("dateformat",),
    "timestamp": ("timestampformat",),
    "timestamp_ntz": ("timestampntzformat",),
    **dict.fromkeys(_FLOATS, ("nanvalue", "positiveinf", "negativeinf")),
}
_SOME_DAY = r"^\s*[+-]?\d{4,7}-\d{1,2}-\d{1,2}(?:[T ]|\s*$)"
_ZONE = "[+-]|[A-SU-Za-z]"
_DAY = r"^\s*[+-]?\d{4,7}-\d{1,2}-\d{1,2}(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?\s*$"


class Strict:
    """The columns of a source that are read as text and converted; `kinds` as the source declares them.

    `options` have names in lower case. Where one says how values are written, such as `dateFormat`, Spark reads them.
    In JSON a timestamp may be a number, and Spark does not take text for another number.
    """

    def __init__(self, node: str, kinds: Mapping[str, str], options: Mapping[str, str], *, is_json: bool) -> None:
        self._node = node
        self._mode = options["mode"].upper()
        able = ("decimal", "date") if is_json else tuple(_WRONG)
        self._which = frozenset(kind for kind in able if not any(one in options for one in _SAID.get(kind, ())))
        self._kinds = {name: kind for name, text in kinds.items() if _first(kind := declared(text), self._which)}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def read_as(self, name: str, kind: str) -> str:
        """The type that Spark reads a column as."""
        return ddl(_as_text(self._kinds[name], self._which)) if name in self._kinds else kind

    def made(self) -> dict[str, Column]:
        """The converted columns: a misfit is null, or an error with `mode: FAILFAST`."""
        from pyspark.sql.connect.functions import builtin as f

        found: dict[str, Column] = {}
        for name, kind in self._kinds.items():
            column = f.col(spark_quoted(name))
            found[name] = _converted(column, kind, self._which)
            if self._mode == "FAILFAST":
                what = _WRONG[_first(kind, self._which)]
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

        return f.coalesce(_misfit(f.col(spark_quoted(name)), self._kinds[name], self._which), f.lit(False))


def _base(kind: Leaf) -> str:
    return kind.kind.partition("(")[0]


def _first(kind: Kind, which: frozenset[str]) -> str:
    """The first type in it that is read as text, empty without one."""
    if isinstance(kind, Leaf):
        return _base(kind) if _base(kind) in which else ""
    if isinstance(kind, Struct):
        return next((found for of in kind.fields.values() if (found := _first(of, which))), "")
    return _first(kind.element if isinstance(kind, Array) else kind.value, which)


def _as_text(kind: Kind, which: frozenset[str]) -> Kind:
    if isinstance(kind, Leaf):
        return Leaf("string", "string", "string") if _base(kind) in which else kind
    if isinstance(kind, Struct):
        return Struct({name: _as_text(of, which) for name, of in kind.fields.items()})
    if isinstance(kind, Array):
        return Array(_as_text(kind.element, which))
    return Map(kind.key, _as_text(kind.value, which))


def _converted(column: Column, kind: Kind, which: frozenset[str]) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    if not _first(kind, which):
        return column
    if isinstance(kind, Leaf):
        return f.when(_fits(column, kind), column.try_cast(kind.kind))
    if isinstance(kind, Struct):
        parts = [_converted(column[name], of, which).alias(name) for name, of in kind.fields.items()]
        return f.when(column.isNotNull(), f.struct(*parts))
    if isinstance(kind, Array):
        return f.transform(column, lambda one: _converted(one, kind.element, which))
    return f.transform_values(column, lambda _, value: _converted(value, kind.value, which))


def _misfit(column: Column, kind: Kind, which: frozenset[str]) -> Column:
    """Whether a column holds a misfit; null where the column is null."""
    from pyspark.sql.connect.functions import builtin as f

    if isinstance(kind, Leaf):
        return column.isNotNull() & ~f.coalesce(_fits(column, kind), f.lit(False))
    if isinstance(kind, Struct):
        inside = [_misfit(column[name], of, which) for name, of in kind.fields.items() if _first(of, which)]
        return reduce(lambda one, other: one | other, (f.coalesce(one, f.lit(False)) for one in inside))
    values = column if isinstance(kind, Array) else f.map_values(column)
    element = kind.element if isinstance(kind, Array) else kind.value
    return f.exists(values, lambda one: f.coalesce(_misfit(one, element, which), f.lit(False)))


def _fits(text: Column, kind: Leaf) -> Column:
    from pyspark.sql.connect.functions import builtin as f

    known = text.try_cast(kind.kind).isNotNull()
    base = _base(kind)
    if base == "decimal":
        return known & ~text.contains(",")
    if base in _FLOATS:
        # `5d`, `5f` and `0x1p3` are numbers in Java.
        is_suffixed = f.lower(text.substr(-1, 1)).isin("d", "f") & ~f.lower(text).endswith("inf")
        return known & ~is_suffixed & ~f.lower(text).contains("x")
    # Most dates are known by their shape, without the regular expression.
    is_day = (text.substr(5, 1) == "-") & (text.substr(8, 1) == "-")
    if base == "date":
        return known & (((f.length(text) == 10) & is_day) | text.rlike(_DAY))
    fits = known & ((is_day & text.substr(11, 1).isin("", " ", "T")) | text.rlike(_SOME_DAY))
    return fits & ~text.substr(11, 64).rlike(_ZONE) if base == "timestamp_ntz" else fits
