"""Equality deletes: rows that a delete file names by their values, taken out while data files are rewritten.

As the specification has it: one applies to data files of a smaller sequence number in the same partition of the same
spec, or in all partitions when its own spec has none. A null equals a null. A column that the table has since dropped
still counts, and one that a data file lacks is null there.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drls_dagster.errors import DrlsError
from drls_dagster.maintenance.compact.files import Layout
from drls_dagster.maintenance.compact.keys import plain
from drls_dagster.maintenance.compact.selecting import Candidate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyiceberg.manifest import DataFile, ManifestEntry

_LOOK_UP_BYTES = 64 << 20
_LOOK_UP_ROWS = 1 << 20
_KNOWN = 4


class LiveRows:
    """Reads what is left of data files. From several threads at once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: OrderedDict[tuple[str, ...], tuple[_Keys, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, files: Sequence[Candidate], *, dictionaries: bool = True) -> Iterator[tuple[pa.Table, int]]:
        """The live rows of files in their order, in pieces, each with the bytes of the files that end in it.

        Files to which the same equality deletes may apply are looked up together: what the deletes name is hashed
        once for each piece.
        """
        for deletes, part in _with_the_same(files):
            if not deletes:
                for one in part:
                    for rows in self._layout.read(one, dictionaries=dictionaries):
                        yield rows, 0
                    yield self._layout.no_rows, one.size
                continue
            found = self._keys(deletes)
            dropped = sorted({number for keys in found for number in keys.field_ids} - self._layout.schema.field_ids)
            yield from self._left(part, found, dropped, dictionaries)

    def _left(
        self, files: Sequence[Candidate], found: Sequence[_Keys], dropped: Sequence[int], dictionaries: bool
    ) -> Iterator[tuple[pa.Table, int]]:
        waiting: list[pa.Table] = []
        sequences: list[NDArray[np.int64]] = []
        size = held = rows_held = 0
        for one in files:
            count = 0
            for rows in self._layout.read(one, dictionaries=dictionaries, dropped=dropped):
                waiting.append(rows)
                sequences.append(np.full(rows.num_rows, one.entry.sequence_number or 0, dtype=np.int64))
                held += rows.nbytes
                rows_held += rows.num_rows
                count += rows.num_rows
                if held >= _LOOK_UP_BYTES or rows_held >= _LOOK_UP_ROWS:
                    yield from _looked_up(waiting, sequences, found, len(dropped), size)
                    waiting, sequences, size, held, rows_held = [], [], 0, 0, 0
            if not one.deletes and count != one.file.record_count:
                raise DrlsError(
                    f"{one.file.file_path} has {count} rows where its manifest says {one.file.record_count}; nothing "
                    "was changed"
                )
            size += one.size
        yield from _looked_up(waiting, sequences, found, len(dropped), size)

    def _keys(self, deletes: Sequence[ManifestEntry]) -> tuple[_Keys, ...]:
        """What the deletes name, for each set of columns. One thread at a time reads, and the last few are kept."""
        paths = tuple(one.data_file.file_path for one in deletes)
        with self._lock:
            known = self._known.get(paths)
            if known is None:
                by_columns: dict[tuple[int, ...], list[ManifestEntry]] = defaultdict(list)
                for one in deletes:
                    by_columns[columns_of(one.data_file)].append(one)
                known = tuple(_Keys(self._layout, ids, part) for ids, part in by_columns.items())
                self._known[paths] = known
                if len(self._known) > _KNOWN:
                    self._known.popitem(last=False)
            self._known.move_to_end(paths)
            return known


def columns_of(delete: DataFile) -> tuple[int, ...]:
    """The ids of the columns by which an equality delete file names rows."""
    return tuple(sorted(delete.equality_ids or ()))


def _with_the_same(files: Iterable[Candidate]) -> Iterator[tuple[tuple[ManifestEntry, ...], list[Candidate]]]:
    """Neighbours with the equality deletes of their partition; none where none of those is newer than the file."""
    for deletes, part in groupby(files, key=lambda one: one.equality if one.is_named else ()):
        yield deletes, list(part)


def _looked_up(
    waiting: Sequence[pa.Table],
    sequences: Sequence[NDArray[np.int64]],
    found: Sequence[_Keys],
    dropped: int,
    size: int,
) -> Iterator[tuple[pa.Table, int]]:
    if not waiting:
        return
    written = np.concatenate(sequences)
    gone = np.zeros(len(written), dtype=bool)
    for keys in found:
        gone |= keys.names(waiting, written)
    at = 0
    for number, rows in enumerate(waiting):
        part = gone[at : at + rows.num_rows]
        at += rows.num_rows
        left = rows.filter(pa.array(~part)) if part.any() else rows
        if dropped:
            left = left.select(range(left.num_columns - dropped))
        yield left, size if number == len(waiting) - 1 else 0


class _Keys:
    """The values by which delete files name rows, each with the newest sequence number that does.

    Each column becomes the number of its value, and several columns the number of their combination.
    """

    def __init__(self, layout: Layout, field_ids: tuple[int, ...], deletes: Sequence[ManifestEntry]) -> None:
        self.field_ids = field_ids
        schema = layout.with_dropped([one for one in field_ids if one not in layout.schema.field_ids])
        # By name: what the columns of rows that the layout reads are called.
        self._names = [schema.find_field(one).name for one in field_ids]
        tables: list[pa.Table] = []
        numbers: list[NDArray[np.int64]] = []
        for one in deletes:
            rows = layout.read_keys(one.data_file, field_ids)
            tables.append(rows)
            numbers.append(np.full(rows.num_rows, one.sequence_number or 0, dtype=np.int64))
        whole = pa.concat_tables(tables)
        self._values: list[pa.Array] = []
        self._pairs: list[pa.Array] = []
        codes = None
        for column in map(_canonical, whole.columns):
            values = pc.unique(column)  # pyright: ignore[reportAttributeAccessIssue]
            self._values.append(values)
            found = _number_of(column, values)
            if codes is None:
                codes = found
                continue
            both = _both(codes, found, len(values))
            pairs = pc.unique(both)  # pyright: ignore[reportAttributeAccessIssue]
            self._pairs.append(pairs)
            codes = _number_of(both, pairs)
        places = np.zeros(0, dtype=np.int64) if codes is None else codes.to_numpy(zero_copy_only=False)
        self._newest = np.zeros(int(places.max()) + 1 if len(places) else 0, dtype=np.int64)
        np.maximum.at(self._newest, places, np.concatenate(numbers))

    def names(self, rows: Sequence[pa.Table], written: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the rows are deleted; `written`: the sequence number of each row's file."""
        codes = None
        for at, name in enumerate(self._names):
            parts = [_canonical(one.column(name)) for one in rows]
            column = pa.chunked_array([chunk for one in parts for chunk in one.chunks], parts[0].type)
            found = _number_of(column, self._values[at])
            codes = (
                found
                if codes is None
                else _number_of(_both(codes, found, len(self._values[at])), self._pairs[at - 1], has_null=False)
            )
        gone = np.zeros(len(written), dtype=bool)
        if codes is None or not len(self._newest):
            return gone
        places = np.asarray(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False))  # pyright: ignore[reportAttributeAccessIssue]
        named = places >= 0
        gone[named] = self._newest[places[named]] > written[named]
        return gone


def _canonical(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values in the one type that both sides have."""
    column = plain(column)
    if pa.types.is_string(column.type):
        return column.cast(pa.large_string())
    return column.cast(pa.large_binary()) if pa.types.is_binary(column.type) else column


def _number_of(column: Any, values: pa.Array, *, has_null: bool = True) -> pa.Array:
    """The place of each value; null where it is not among `values`. A null is found where `values` has one."""
    found = pc.index_in(column, value_set=values, skip_nulls=not has_null)  # pyright: ignore[reportAttributeAccessIssue]
    whole = pc.cast(found, pa.int64())
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def _both(first: pa.Array, second: pa.Array, count: int) -> pa.Array:
    """One number for two; null where either is."""
    return pc.add(pc.multiply(first, count), second)  # pyright: ignore[reportAttributeAccessIssue]
