"""Nulls and bounds of columns from what manifests say of each file: exact, and no row is read."""

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

    None where the files do not tell exactly: with deleted rows, without counts, and for text, whose bounds are cut.
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
    from pyiceberg.types import DoubleType, FloatType, PrimitiveType

    kind = field.field_type
    if not isinstance(kind, PrimitiveType) or _is_cut(kind):
        return None
    is_float = isinstance(kind, FloatType | DoubleType)
    nulls = nans = 0
    lows: list[Any] = []
    highs: list[Any] = []
    for file in files:
        empty = (file.null_value_counts or {}).get(field.field_id)
        unreal = (file.nan_value_counts or {}).get(field.field_id) if is_float else 0
        if empty is None or unreal is None:
            return None
        nulls, nans = nulls + empty, nans + unreal
        if empty + unreal == file.record_count:
            continue
        low, high = (_bound(kind, (one or {}).get(field.field_id)) for one in (file.lower_bounds, file.upper_bounds))
        if low is None or high is None:
            return None
        lows.append(low)
        highs.append(high)
    return {
        "name": field.name,
        "type": type_words(kind)[:300],
        "nulls": nulls,
        "nans": nans if is_float else None,
        "min": shown.value(_value(kind, min(lows))) if lows else None,
        "max": shown.value(_value(kind, max(highs))) if highs else None,
    }


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
