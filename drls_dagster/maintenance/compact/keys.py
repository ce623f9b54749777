"""What rows are ordered by: the columns of a sort, or a position on the Z-order curve.

The curve is Morton's (G. M. Morton, "A computer oriented geodetic data base", IBM 1966): the bits of the columns'
coordinates are interleaved, highest first, so that rows which are close in every column are close on the curve. A
coordinate is the rank of a value among quantiles of a sample, not the value's own bits as in Spark's Z-order: skewed
columns then use all their bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.diff.types import type_words
from lifecycle.domain.evolution import told
from lifecycle.domain.operations import CompactOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyiceberg.table import Table

_BITS = 12
_TEXT_BYTES = 48


@dataclass(frozen=True)
class SortField:
    """A column to sort by, in the order that an Iceberg sort field means: NaN is larger than every number."""

    field_id: int
    name: str
    descending: bool = False
    nulls_last: bool = False

    def __str__(self) -> str:
        return f"{self.name}{' desc' if self.descending else ''}{' nulls last' if self.nulls_last else ''}"


def check_columns(table: Table, options: CompactOptions) -> None:
    """Raises UsageError where the columns of the options do not fit the strategy or the table."""
    name = ".".join(table.name())
    if options.strategy == "binpack":
        if options.columns:
            raise UsageError("binpack keeps the order of rows and takes no columns; use sort or zorder")
        return
    for column in options.columns:
        _field_id(table, column)
    if len(set(options.columns)) < len(options.columns):
        raise UsageError(f"a column is named twice: {', '.join(options.columns)}")
    if options.strategy == "zorder" and len(options.columns) < 2:
        raise UsageError("zorder needs two or more columns; sort takes one")
    if options.strategy == "zorder" and len(options.columns) > 8:
        raise UsageError("zorder takes at most eight columns: with more, none of them prunes files")
    if options.strategy == "sort" and not options.columns:
        if table.sort_order().is_unsorted:
            raise UsageError(f"{name} has no sort order; name the columns to sort by")
        sort_fields(table, options)


def sort_fields(table: Table, options: CompactOptions) -> tuple[SortField, ...]:
    """The columns to sort by: those of the options, else the table's sort order. Raises UsageError."""
    from pyiceberg.table.sorting import NullOrder, SortDirection
    from pyiceberg.transforms import IdentityTransform

    if options.columns:
        return tuple(SortField(_field_id(table, one), one) for one in options.columns)
    found: list[SortField] = []
    for one in table.sort_order().fields:
        name = table.schema().find_column_name(one.source_id)
        if name is None or not isinstance(one.transform, IdentityTransform):
            raise UsageError(
                f"{'.'.join(table.name())} is sorted by {one.transform}({name or one.source_id}), which cannot be "
                "sorted by here; name the columns to sort by"
            )
        _field_id(table, name)
        descending = one.direction == SortDirection.DESC
        found.append(SortField(one.source_id, name, descending, one.null_order == NullOrder.NULLS_LAST))
    return tuple(found)


def _field_id(table: Table, column: str) -> int:
    from pyiceberg.types import PrimitiveType

    name = ".".join(table.name())
    try:
        field = table.schema().find_field(column)
    except ValueError:
        known = told([one.name for one in table.schema().fields])
        raise UsageError(f"{name} has no column {column[:100]!r}; it has: {known}") from None
    if not isinstance(field.field_type, PrimitiveType):
        raise UsageError(f"'{column}' of {name} is {type_words(field.field_type)}, which has no order")
    if field not in table.schema().fields:
        raise UsageError(f"'{column}' of {name} is part of another column; only whole columns can be ordered by")
    return field.field_id


def sort_keys(rows: pa.Table, fields: Sequence[SortField]) -> tuple[pa.Table, list[tuple[str, str]]]:
    """Columns and their directions, which together are the wanted order; `rows` has the columns of `fields`.

    Nulls and NaN have a column of their own before that of the values, where there are any.
    """
    keys: list[pa.ChunkedArray] = []
    found: list[str] = []
    for at, field in enumerate(fields):
        column = plain(rows.column(at))
        empty = pc.is_null(column)  # pyright: ignore[reportAttributeAccessIssue]
        if column.null_count:
            keys.append(_number(pc.invert(empty) if not field.nulls_last else empty))  # pyright: ignore[reportAttributeAccessIssue]
            found.append("ascending")
        if pa.types.is_floating(column.type):
            strange = pc.fill_null(pc.is_nan(column), fill_value=False)  # pyright: ignore[reportAttributeAccessIssue]
            if pc.any(strange).as_py():  # pyright: ignore[reportAttributeAccessIssue]
                keys.append(_number(pc.invert(strange) if field.descending else strange))  # pyright: ignore[reportAttributeAccessIssue]
                found.append("ascending")
        keys.append(column)
        found.append("descending" if field.descending else "ascending")
    names = [str(at) for at in range(len(keys))]
    return pa.table(keys, names=names), list(zip(names, found, strict=True))


def _number(flags: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(flags, pa.int8())


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without dictionaries and extension types, which cannot be sorted."""
    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([one.storage for one in column.chunks], column.type.storage_type)
    return pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column


class ZOrder:
    """Positions on the curve, from a sample of the columns' rows."""

    def __init__(self, sample: pa.Table) -> None:
        self._bits = min(_BITS, 64 // sample.num_columns)
        self._edges = [self._quantiles(_coordinate(sample.column(at))) for at in range(sample.num_columns)]
        self._positions = [self._spread_out(at, len(edges), sample.num_columns) for at, edges in enumerate(self._edges)]

    def _quantiles(self, values: NDArray[Any]) -> NDArray[Any]:
        if not len(values):
            return values
        ordered = np.sort(values)
        wanted = np.linspace(0, len(ordered) - 1, min(len(ordered), 2**self._bits - 1)).astype(np.int64)
        return np.unique(ordered[wanted])

    def _spread_out(self, at: int, count: int, columns: int) -> NDArray[np.uint64]:
        """For each rank of this column, the bits that it has in a position."""
        ranks = np.arange(count + 1, dtype=np.uint64)
        # Few distinct values use the high bits too, or they would not count on the curve.
        ranks <<= np.uint64(max(self._bits - max(count.bit_length(), 1), 0))
        found = np.zeros(count + 1, dtype=np.uint64)
        for bit in range(self._bits):
            chosen = (ranks >> np.uint64(bit)) & np.uint64(1)
            found |= chosen << np.uint64(bit * columns + (columns - 1 - at))
        return found

    def positions(self, rows: pa.Table) -> NDArray[np.uint64]:
        """The position of each row; `rows` has the columns of the sample."""
        found = np.zeros(rows.num_rows, dtype=np.uint64)
        for at, edges in enumerate(self._edges):
            found |= self._positions[at][_ranks(rows.column(at), edges)]
        return found


def _ranks(column: pa.ChunkedArray, edges: NDArray[Any]) -> NDArray[Any]:
    """0 for null, else how many edges lie at or below the value."""
    valid = pc.is_valid(column).to_numpy().astype(bool)  # pyright: ignore[reportAttributeAccessIssue]
    found = np.zeros(len(column), dtype=np.int64)
    values = _coordinate(column)
    found[valid] = np.searchsorted(edges, values, side="right")
    return found


def _coordinate(column: pa.ChunkedArray) -> NDArray[Any]:
    """The values that are not null, as numbers or bytes in their order."""
    column = plain(column).drop_null()
    kind = column.type
    if pa.types.is_decimal(kind):
        # Close neighbours may fall together; only the order within a file would tell.
        return pc.cast(column, pa.float64()).to_numpy()
    if pa.types.is_boolean(kind):
        return pc.cast(column, pa.int8()).to_numpy()
    if pa.types.is_temporal(kind):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pc.cast(column, whole).to_numpy()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.to_numpy()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = pc.cast(column, pa.large_binary())
    return np.array([one[:_TEXT_BYTES] for one in column.to_pylist()], dtype=f"S{_TEXT_BYTES}")
