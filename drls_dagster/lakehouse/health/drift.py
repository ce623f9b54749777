"""How far a table is from its sort order: how many files of a partition hold a value, on average."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.health.files import DataFile, Partition

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.types import PrimitiveType

_WHOLE = ("int", "long", "date", "time", "timestamp", "timestamptz", "timestamp_ns", "timestamptz_ns")


def first_sort_column(table: Table) -> int | None:
    """The id of the column that the table is sorted by first; None for an unsorted one, and where bounds say nothing.

    A transform that keeps the order, such as `day`, is as good as the column itself.
    """
    from pyiceberg.transforms import BucketTransform, VoidTransform

    order = table.sort_order().fields
    if not order or isinstance(order[0].transform, (BucketTransform, VoidTransform)):
        return None
    return order[0].source_id


def depth(table: Table, column: int, files: Iterable[DataFile]) -> float:
    """1 where no two files of a partition overlap, their number where all do; 0 without files that say bounds."""
    field = table.schema().find_field(column)
    read = _reader(field.field_type)  # pyright: ignore[reportArgumentType]
    spans: dict[Partition, list[tuple[Any, Any]]] = defaultdict(list)
    for one in files:
        if one.low is not None and one.high is not None:
            spans[one.partition].append((read(one.low), read(one.high)))
    total = sum(len(of) for of in spans.values())
    return sum(_overlaps(of) for of in spans.values()) / total if total else 0.0


def _overlaps(spans: list[tuple[Any, Any]]) -> int:
    """For each file, how many are open where it begins, itself included; files that only touch do not overlap."""
    starts = sorted(low for low, _ in spans)
    ends = sorted(high for _, high in spans)
    found = ended = 0
    for begun, start in enumerate(starts):
        while ended < begun and ends[ended] <= start:
            ended += 1
        found += begun + 1 - ended
    # A file sees those that began before it; each pair is seen from one side only, so it counts for both.
    return 2 * found - len(spans)


def _reader(kind: PrimitiveType) -> Callable[[bytes], Any]:
    """Bounds as values that compare as the column's do. Text and bytes may be cut, and compare all the same."""
    name = str(kind)
    if name in _WHOLE:
        return lambda raw: int.from_bytes(raw, "little", signed=True)
    if name.startswith("decimal"):
        return lambda raw: int.from_bytes(raw, "big", signed=True)
    if name in ("float", "double"):
        return lambda raw: struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0]
    return bytes
