"""Rows in order by whole numbers: several columns become one number, which sorts far quicker than they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drls_dagster.maintenance.compact.keys import SortField, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS = 64
_LONGEST_DECIMAL = 18

Span = tuple[int, int]


def spans(columns: pa.Table) -> list[Span] | None:
    """The smallest and the largest value of each column; None where one has values that are no whole numbers."""
    found: list[Span] = []
    for column in columns.columns:
        if not _is_whole(column.type):
            return None
        values, empty = _whole(column)
        if empty is not None:
            values = values[~empty]
        found.append((int(values.min()), int(values.max())) if len(values) else (0, 0))
    return found


def numbers(columns: pa.Table, fields: Sequence[SortField], within: Sequence[Span]) -> NDArray[np.uint64] | None:
    """A number for each row, in the wanted order; None where they need more than 64 bits.

    Values outside of the span of their column count as its nearest end.
    """
    if sum(_bits(one) for one in within) > _BITS:
        return None
    found = np.zeros(columns.num_rows, dtype=np.uint64)
    for at, (field, (low, high)) in enumerate(zip(fields, within, strict=True)):
        values, empty = _whole(columns.column(at))
        # The difference of two int64 may need all 64 bits, which it has as an unsigned number.
        code = np.clip(values, low, high).view(np.uint64) - np.int64(low).view(np.uint64)
        if field.descending:
            code = np.uint64(high - low) - code
        if not field.nulls_last:
            code += np.uint64(1)
        if empty is not None:
            code[empty] = np.uint64(high - low + 1) if field.nulls_last else np.uint64(0)
        if at:
            found <<= np.uint64(_bits((low, high)))
        found |= code
    return found


def order_of(given: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places of the rows in the order of their numbers; rows with the same number stay in theirs."""
    places = len(given).bit_length()
    if not len(given) or int(given.max()).bit_length() + places > _BITS:
        return np.argsort(given, kind="stable")
    both = (given << np.uint64(places)) | np.arange(len(given), dtype=np.uint64)
    both.sort()
    return (both & np.uint64((1 << places) - 1)).view(np.int64)


def _bits(span: Span) -> int:
    low, high = span
    return (high - low + 1).bit_length()  # one more for null


def _is_whole(kind: pa.DataType) -> bool:
    if pa.types.is_decimal(kind):
        return kind.bit_width == 128 and kind.precision <= _LONGEST_DECIMAL
    return pa.types.is_signed_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)


def _whole(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """The values, and which are null; those have any value."""
    column = plain(column)
    empty = pc.is_null(column).to_numpy().astype(bool) if column.null_count else None  # pyright: ignore[reportAttributeAccessIssue]
    if pa.types.is_decimal(column.type):
        parts = [_low_word(chunk) for chunk in column.chunks]
        return (np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)), empty
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    elif pa.types.is_temporal(column.type):
        column = pc.cast(column, pa.int32() if column.type.bit_width == 32 else pa.int64())
    if empty is not None:
        column = column.fill_null(0)
    return column.to_numpy().astype(np.int64), empty


def _low_word(chunk: Any) -> NDArray[np.int64]:
    """Decimals of at most 18 digits as the whole numbers that they are without their point."""
    if not len(chunk):
        return np.zeros(0, dtype=np.int64)
    words = np.frombuffer(chunk.buffers()[1], dtype="<i8")
    return words[2 * chunk.offset : 2 * (chunk.offset + len(chunk)) : 2]
