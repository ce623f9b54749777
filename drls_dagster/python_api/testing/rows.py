"""Rows as tests write them: lists of dicts, Arrow tables or pandas frames, as Arrow tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from drls_dagster.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

GivenRows: TypeAlias = "Sequence[Mapping[str, Any]] | pa.Table | pd.DataFrame"


def arrow_rows(
    what: str, rows: GivenRows, types: Mapping[str, pa.DataType], *, there: Sequence[str] = (), only: bool = False
) -> pa.Table:
    """The rows with columns of the given `types`; the type of any other column is told by its values.

    The columns `there`, which have types, exist whether the rows have values for them or not; with `only`, no others
    do. Raises UsageError, in which the rows are called `what`, for a value that does not fit its column and for a
    column of which nothing says its type.
    """
    import pandas as pd
    import pyarrow as pa

    frame: pa.Table | None = rows if isinstance(rows, pa.Table) else None
    if isinstance(rows, pd.DataFrame):
        frame = pa.Table.from_pandas(rows, preserve_index=False)
    if frame is not None:
        names = _names(what, frame.column_names, there, only=only)
        return pa.table(
            {
                name: _cast(what, name, frame.column(name), types.get(name))
                if name in frame.column_names
                else pa.nulls(frame.num_rows, types[name])
                for name in names
            }
        )
    dicts = cast("Sequence[Mapping[str, Any]]", rows)
    for row in dicts:
        if not isinstance(row, Mapping):
            raise UsageError(f"{what}: a row is a dict of columns and values, not {type(row).__name__}")
    names = _names(what, dict.fromkeys(name for row in dicts for name in row), there, only=only)
    if not dicts and not names:
        names = list(types)
    if not names:
        raise UsageError(f"{what}: nothing says which columns there are; pass types={{…}}, or a pyarrow table")
    return pa.table({name: _array(what, name, [row.get(name) for row in dicts], types.get(name)) for name in names})


def _names(what: str, given: Iterable[str], there: Sequence[str], *, only: bool) -> list[str]:
    found = list(dict.fromkeys([*there, *given]))
    if only and len(found) > len(there):
        raise UsageError(f"{what} have a column '{found[len(there)]}', which is not among: {', '.join(there)}")
    return found


def _array(what: str, name: str, values: list[Any], kind: pa.DataType | None) -> pa.Array:
    import pyarrow as pa

    try:
        if kind is not None:
            # A date or a decimal may be written as text, and a decimal as a float.
            typed = [pa.scalar(one).cast(kind).as_py() if isinstance(one, str | float) else one for one in values]
            return pa.array(typed, kind)
        made = pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        as_what = "" if kind is None else f" as {kind}"
        raise UsageError(f"{what}, column '{name}': its values cannot be read{as_what}: {_line(error)}") from None
    if pa.types.is_null(made.type):
        raise UsageError(f"{what}, column '{name}': no value says its type; name it in types={{…}}")
    return made


def _cast(what: str, name: str, column: pa.ChunkedArray, kind: pa.DataType | None) -> pa.ChunkedArray:
    import pyarrow as pa

    wanted = kind
    if wanted is None and pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        wanted = pa.timestamp("us", column.type.tz)  # what pandas has; Spark has no nanoseconds
    try:
        return column if wanted is None or wanted == column.type else column.cast(wanted)
    except pa.ArrowException as error:
        raise UsageError(f"{what}, column '{name}': its values cannot be read as {wanted}: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
