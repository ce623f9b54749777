"""Nulls and bounds of columns from what manifests say of each file, where that is exact; no row is read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.diff.types import type_words
from drls_dagster.lakehouse.reader.values import Shown

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.types import NestedField, PrimitiveType


def from_files(
    table: Table, snapshot: int | None, fields: Sequence[NestedField], text: int
) -> tuple[int, list[dict[str, Any]]] | None:
    """How many rows there are, and of each field its nulls, NaNs, smallest and largest value.

    What the files do not tell exactly is None: bounds of text, which are cut, and of floats without counts of NaN.
    All is None where even nulls are not counted: with deleted rows, and without counts.
    """
    files = _files(table, snapshot)
    if files is None:
        return None
    found = [_of_field(field, files, Shown(text)) for field in fields]
    known = [one for one in found if one is not None]
    return (sum(one.record_count for one in files), known) if len(known) == len(found) else None


def _files(table: Table, snapshot: int | None) -> list[DataFile] | None:
    from pyiceberg.manifest import ManifestContent

    at = table.snapshot_by_id(snapshot) if snapshot is not None else None
    found: list[DataFile] = []
    for manifest in at.manifests(table.io) if at is not None else ():
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        if manifest.content == ManifestContent.DELETES and entries:
            return None
        found += [one.data_file for one in entries]
    return found


def _of_field(field: NestedField, files: Sequence[DataFile], shown: Shown) -> dict[str, Any] | None:
    from pyiceberg.types import PrimitiveType

    kind = field.field_type
    nulls = [(one.null_value_counts or {}).get(field.field_id) for one in files]
    if not isinstance(kind, PrimitiveType) or None in nulls:
        return None
    nans = [_nans(kind, one, field.field_id) for one in files]
    low, high = (None, None) if None in nans else _bounds(kind, field.field_id, files, nulls, nans)
    is_float = nans and _is_float(kind)
    return {
        "name": field.name,
        "type": type_words(kind)[:300],
        "nulls": sum(one or 0 for one in nulls),
        "nans": sum(one or 0 for one in nans) if is_float and None not in nans else None,
        "min": shown.value(low),
        "max": shown.value(high),
    }


def _is_float(kind: PrimitiveType) -> bool:
    from pyiceberg.types import DoubleType, FloatType

    return isinstance(kind, FloatType | DoubleType)


def _nans(kind: PrimitiveType, file: DataFile, column: int) -> int | None:
    return (file.nan_value_counts or {}).get(column) if _is_float(kind) else 0


def _bounds(
    kind: PrimitiveType, column: int, files: Sequence[DataFile], nulls: Sequence[int | None], nans: Sequence[int | None]
) -> tuple[Any, Any]:
    """Of all files that have values; None where one does not tell its own."""
    full = [
        one for one, null, nan in zip(files, nulls, nans, strict=True) if (null or 0) + (nan or 0) < one.record_count
    ]
    lows = [_bound(kind, (one.lower_bounds or {}).get(column)) for one in full]
    highs = [_bound(kind, (one.upper_bounds or {}).get(column)) for one in full]
    if not full or _is_cut(kind) or None in lows or None in highs:
        return None, None
    return _value(kind, min(lows)), _value(kind, max(highs))


def _is_cut(kind: PrimitiveType) -> bool:
    """Whether files keep only the beginning of such a value as its bound."""
    from pyiceberg.types import BinaryType, FixedType, StringType, UUIDType

    return isinstance(kind, StringType | BinaryType | FixedType | UUIDType)


def _bound(kind: PrimitiveType, given: bytes | None) -> Any:
    from pyiceberg.conversions import from_bytes

    if given is None:
        return None
    try:
        return from_bytes(kind, given)
    except struct.error:
        return None  # written as a narrower type, before the column was widened


def _value(kind: PrimitiveType, bound: Any) -> Any:
    """As a row would have it: dates and times are numbers in a bound."""
    import pyarrow as pa
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    from drls_dagster.lakehouse.rows import values_of

    return values_of(pa.chunked_array([pa.array([bound], schema_to_pyarrow(kind))]))[0]
