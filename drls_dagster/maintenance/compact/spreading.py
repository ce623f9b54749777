"""The rows of a group in one order, over files that do not overlap, in bounded memory.

As an external sort by range: a sample says where one part ends and the next begins; a first pass deals the rows out to
parts, kept on disk where they do not fit in memory; each part is then sorted alone, and parts follow each other.
"""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drls_dagster.maintenance.compact.equality import LiveRows
from drls_dagster.maintenance.compact.files import Layout, together
from drls_dagster.maintenance.compact.keys import SortField, ZOrder, plain, sort_keys
from drls_dagster.maintenance.compact.packing import Span, numbers, order_of, spans
from drls_dagster.maintenance.compact.selecting import Candidate, Group, packed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE_ROWS = 100_000
_PART_BYTES = 128 << 20
_IN_MEMORY_BYTES = 256 << 20
_PORTION_BYTES = 8 << 20
_NAMED_PORTION_BYTES = 32 << 20
_DEAL_BYTES = 48 << 20


class Order:
    """Sorts tables, and says which part a row belongs to. `places`: where the columns to order by are."""

    def __init__(self, layout: Layout, fields: Sequence[SortField], zorder: bool) -> None:
        self.places = layout.at([one.field_id for one in fields])
        self._fields = fields
        self._zorder = zorder
        self._curve: ZOrder | None = None
        self._within: list[Span] | None = None
        # The ends of parts: as numbers where rows have them, else as rows.
        self._ends: NDArray[np.uint64] | None = None
        self._edges: pa.Table | None = None

    def learn(self, sample: pa.Table, parts: int) -> None:
        """Choose the ends of `parts` parts from a sample of the columns to order by."""
        if self._zorder:
            self._curve = ZOrder(sample)
        else:
            self._within = spans(sample)
        ordered = self._order(sample)
        ends = [round(len(ordered) * at / parts) for at in range(1, parts)]
        chosen = ordered[sorted({min(one, len(ordered) - 1) for one in ends})]
        found = self._numbers(sample, self._within)
        if found is None:
            self._edges = sample.take(pa.array(chosen))
        else:
            self._ends = found[chosen]

    def _numbers(self, columns: pa.Table, within: list[Span] | None) -> NDArray[np.uint64] | None:
        if self._curve is not None:
            return self._curve.positions(columns)
        return None if within is None else numbers(columns, self._fields, within)

    def _order(self, columns: pa.Table) -> NDArray[np.int64]:
        found = self._numbers(columns, None if self._zorder else spans(columns))
        if found is not None:
            return order_of(found)
        keys, directions = sort_keys(columns, self._fields)
        return pc.sort_indices(keys, sort_keys=directions).to_numpy().astype(np.int64)  # pyright: ignore[reportAttributeAccessIssue]

    def sorted(self, rows: pa.Table) -> pa.Table:
        return rows.take(pa.array(self._order(rows.select(self.places))))

    def parts_of(self, rows: pa.Table) -> NDArray[Any]:
        """The number of the part of each row."""
        columns = rows.select(self.places)
        found = None if self._ends is None else self._numbers(columns, self._within)
        if self._ends is not None and found is not None:
            return np.searchsorted(self._ends, found, side="right")
        edges = self._edges
        if edges is None or not edges.num_rows:
            return np.zeros(rows.num_rows, dtype=np.int64)
        columns = pa.table([plain(one) for one in columns.columns], names=columns.column_names)
        # Sorted among the rows, the edges themselves say where parts begin, whatever the types of the columns are.
        both = pa.concat_tables([one.cast(columns.schema) for one in (edges, columns)])
        keys, directions = sort_keys(both, self._fields)
        order = pc.sort_indices(keys, sort_keys=directions).to_numpy()  # pyright: ignore[reportAttributeAccessIssue]
        edge = order < edges.num_rows
        result = np.empty(len(order), dtype=np.int64)
        result[order] = np.cumsum(edge)
        return result[edges.num_rows :]


class Spread:
    """A group's rows, dealt out to parts; part by part they are read again, sorted."""

    def __init__(self, layout: Layout, live: LiveRows, group: Group, order: Order, target: int, folder: Path) -> None:
        self._layout = layout
        self._live = live
        self._group = group
        self._order = order
        self._folder = folder
        self._lock = threading.Lock()
        self._locks: list[threading.Lock] = []
        self._memory: dict[int, list[pa.Table]] = {}
        self._spilled: dict[int, Any] = {}
        self._to_disk = False
        self.files = max(1, round(group.size / target))
        self._per_file = 1
        self.rows_in = 0

    @property
    def parts(self) -> int:
        return self.files * self._per_file

    def deal(self, threads: Executor, tick: Callable[[int], None]) -> None:
        """Reads the group once for a sample, and once to deal its rows out."""
        total = sum(one.file.record_count for one in self._group.files)
        step = max(1, total // _SAMPLE_ROWS)
        samples: list[pa.Table] = []
        for found in threads.map(lambda one: self._sample(one, step), self._group.files):
            samples += found
            tick(0)
        whole = list(self._layout.read(self._group.files[0], dictionaries=False))
        width = sum(rows.nbytes for rows in whole) / max(1, sum(rows.num_rows for rows in whole))
        in_memory = int(width * total)
        self._to_disk = in_memory > _IN_MEMORY_BYTES
        self._per_file = max(1, math.ceil(in_memory / self.files / _PART_BYTES))
        if any(one.num_rows for one in samples):
            self._order.learn(pa.concat_tables(samples), self.parts)
        self._locks = [threading.Lock() for _ in range(self.parts)]
        if self._to_disk:
            self._folder.mkdir(parents=True, exist_ok=True)
        for done in threads.map(self._deal_part, self._portions()):
            tick(done)
        for sink, (_, writer) in self._spilled.values():
            writer.close()
            sink.close()

    def _sample(self, one: Candidate, step: int) -> list[pa.Table]:
        return [
            rows.take(pa.array(np.arange(0, rows.num_rows, step)))
            for rows in self._layout.read(one, dictionaries=False, only=self._order.places)
        ]

    def _portions(self) -> list[list[Candidate]]:
        """What one thread reads at a time: more where equality deletes are looked up for all of the files."""
        named = any(one.is_named for one in self._group.files)
        return packed(self._group.files, _NAMED_PORTION_BYTES if named else _PORTION_BYTES)

    def _deal_part(self, files: Sequence[Candidate]) -> int:
        waiting: list[pa.Table] = []
        held = 0
        for rows, _ in self._live.read(files):
            if not rows.num_rows:
                continue
            waiting.append(rows)
            held += rows.nbytes
            if held >= _DEAL_BYTES:
                self._deal_rows(waiting)
                held = 0
        if waiting:
            self._deal_rows(waiting)
        return sum(one.size for one in files)

    def _deal_rows(self, waiting: list[pa.Table]) -> None:
        """Empties the list, so that no more than two copies of the rows are held."""
        rows = together(waiting, None)
        waiting.clear()
        rows = _with_short_dictionaries(rows, rows.num_rows // (2 * self.parts)).combine_chunks()
        parts = self._order.parts_of(rows)
        order = order_of(parts.astype(np.uint64))
        ends = np.searchsorted(parts[order], np.arange(self.parts + 1))
        dealt = rows.take(pa.array(order))
        with self._lock:
            self.rows_in += rows.num_rows
        del rows
        for part in range(self.parts):
            if ends[part + 1] > ends[part]:
                with self._locks[part]:
                    self._keep(part, dealt.slice(ends[part], ends[part + 1] - ends[part]))

    def _keep(self, part: int, rows: pa.Table) -> None:
        if not self._to_disk:
            self._memory.setdefault(part, []).append(rows)
            return
        sink, writer = self._spilled.get(part, (None, None))
        if sink is None:
            sink = pa.OSFile(str(self._folder / f"{part}.arrow"), "wb")
        if writer is None or writer[0] != rows.schema:
            if writer is not None:
                writer[1].close()
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            writer = rows.schema, pa.ipc.new_stream(sink, rows.schema, options=options)
            self._spilled[part] = sink, writer
        writer[1].write_table(rows)

    def sorted(self, number: int) -> Iterator[pa.Table]:
        """The rows of the file with this number, in order."""
        for part in range(number * self._per_file, (number + 1) * self._per_file):
            rows = self._take(part)
            if rows is not None and rows.num_rows:
                yield self._order.sorted(rows)

    def _take(self, part: int) -> pa.Table | None:
        if not self._to_disk:
            found = self._memory.pop(part, [])
            return together(found, None).combine_chunks() if found else None
        path = self._folder / f"{part}.arrow"
        if not path.exists():
            return None
        found: list[pa.Table] = []
        with pa.OSFile(str(path), "rb") as source:
            while source.tell() < source.size():
                found.append(pa.ipc.open_stream(source).read_all())
        path.unlink()
        return together(found, None).combine_chunks()

    def drop(self) -> None:
        self._memory.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


def _with_short_dictionaries(rows: pa.Table, most: int) -> pa.Table:
    """The same rows, without dictionaries of more than `most` values: a part on disk has each of them many times."""
    for at, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            column = rows.column(at)
            if max((len(one.dictionary) for one in column.chunks), default=0) > most:
                value = field.type.value_type
                rows = rows.set_column(at, field.with_type(value), column.cast(value))
    return rows
