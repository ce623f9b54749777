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
from drls_dagster.maintenance.compact.files import Layout
from drls_dagster.maintenance.compact.keys import SortField, ZOrder, directions, sort_keys
from drls_dagster.maintenance.compact.selecting import Candidate, Group, packed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE_ROWS = 100_000
_PART_BYTES = 128 << 20
_IN_MEMORY_BYTES = 256 << 20
_PORTION_BYTES = 32 << 20


class Order:
    """Sorts tables, and says which part a row belongs to. `places`: where the columns to order by are."""

    def __init__(self, layout: Layout, fields: Sequence[SortField], zorder: bool) -> None:
        self.places = layout.at([one.field_id for one in fields])
        self._fields = fields
        self._zorder = zorder
        self._curve: ZOrder | None = None
        self._edges: pa.Table | None = None
        self._directions = (
            [("0", "ascending")]
            if zorder
            else directions(pa.schema([layout.arrow.field(at) for at in self.places]), fields)
        )

    def learn(self, sample: pa.Table, parts: int) -> None:
        """Choose the ends of `parts` parts from a sample of the columns to order by."""
        if self._zorder:
            self._curve = ZOrder(sample)
        keys = self._keys(sample)
        ordered = keys.take(pc.sort_indices(keys, sort_keys=self._directions))  # pyright: ignore[reportAttributeAccessIssue]
        ends = [round(ordered.num_rows * at / parts) for at in range(1, parts)]
        self._edges = ordered.take(pa.array(sorted({min(one, ordered.num_rows - 1) for one in ends}), pa.int64()))

    def _keys(self, columns: pa.Table) -> pa.Table:
        if self._curve is not None:
            return pa.table({"0": self._curve.positions(columns)})
        return sort_keys(columns, self._fields)

    def sorted(self, rows: pa.Table) -> pa.Table:
        keys = self._keys(rows.select(self.places))
        return rows.take(pc.sort_indices(keys, sort_keys=self._directions))  # pyright: ignore[reportAttributeAccessIssue]

    def parts_of(self, rows: pa.Table) -> NDArray[Any]:
        """The number of the part of each row."""
        keys = self._keys(rows.select(self.places))
        edges = self._edges
        if edges is None or not edges.num_rows:
            return np.zeros(rows.num_rows, dtype=np.int64)
        if self._curve is not None:
            return np.searchsorted(edges.column(0).to_numpy(), keys.column(0).to_numpy(), side="right")
        # Sorted among the rows, the edges themselves say where parts begin, whatever the types of the columns are.
        both = pa.concat_tables([edges, keys])
        order = pc.sort_indices(both, sort_keys=self._directions).to_numpy()  # pyright: ignore[reportAttributeAccessIssue]
        edge = order < edges.num_rows
        found = np.empty(len(order), dtype=np.int64)
        found[order] = np.cumsum(edge)
        return found[edges.num_rows :]


class Spread:
    """A group's rows, dealt out to parts; part by part they are read again, sorted."""

    def __init__(self, layout: Layout, live: LiveRows, group: Group, order: Order, target: int, folder: Path) -> None:
        self._layout = layout
        self._live = live
        self._group = group
        self._order = order
        self._folder = folder
        self._lock = threading.Lock()
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
        width = 0.0
        for number, one in enumerate(self._group.files):
            samples += [
                rows.take(pa.array(np.arange(0, rows.num_rows, step)))
                for rows in self._layout.read(one, dictionaries=False, only=self._order.places)
            ]
            if number == 0:
                whole = list(self._layout.read(one, dictionaries=False))
                width = sum(rows.nbytes for rows in whole) / max(1, sum(rows.num_rows for rows in whole))
            tick(0)
        in_memory = int(width * total)
        self._to_disk = in_memory > _IN_MEMORY_BYTES
        self._per_file = max(1, math.ceil(in_memory / self.files / _PART_BYTES))
        if samples:
            self._order.learn(pa.concat_tables(samples), self.parts)
        if self._to_disk:
            self._folder.mkdir(parents=True, exist_ok=True)
        for done in threads.map(self._deal_part, self._portions()):
            tick(done)
        for sink, writer in self._spilled.values():
            writer.close()
            sink.close()

    def _portions(self) -> list[list[Candidate]]:
        """What one thread reads at a time: a file, or several where equality deletes are looked up for all of them."""
        if any(one.is_named for one in self._group.files):
            return packed(self._group.files, _PORTION_BYTES)
        return [[one] for one in self._group.files]

    def _deal_part(self, files: Sequence[Candidate]) -> int:
        for rows, _ in self._live.read(files, dictionaries=False):
            parts = self._order.parts_of(rows)
            order = np.argsort(parts, kind="stable")
            ends = np.searchsorted(parts[order], np.arange(self.parts + 1))
            dealt = rows.take(pa.array(order))
            with self._lock:
                self.rows_in += rows.num_rows
                for part in range(self.parts):
                    if ends[part + 1] > ends[part]:
                        self._keep(part, dealt.slice(ends[part], ends[part + 1] - ends[part]))
        return sum(one.size for one in files)

    def _keep(self, part: int, rows: pa.Table) -> None:
        if not self._to_disk:
            self._memory.setdefault(part, []).append(rows)
            return
        if part not in self._spilled:
            sink = pa.OSFile(str(self._folder / f"{part}.arrow"), "wb")
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._spilled[part] = (sink, pa.ipc.new_file(sink, rows.schema, options=options))
        self._spilled[part][1].write_table(rows.combine_chunks())

    def sorted(self, number: int) -> Iterator[pa.Table]:
        """The rows of the file with this number, in order."""
        for part in range(number * self._per_file, (number + 1) * self._per_file):
            rows = self._take(part)
            if rows is not None and rows.num_rows:
                yield self._order.sorted(rows)

    def _take(self, part: int) -> pa.Table | None:
        if not self._to_disk:
            found = self._memory.pop(part, [])
            return pa.concat_tables(found).combine_chunks() if found else None
        path = self._folder / f"{part}.arrow"
        if not path.exists():
            return None
        with pa.OSFile(str(path), "rb") as source:
            rows = pa.ipc.open_file(source).read_all().combine_chunks()
        path.unlink()
        return rows

    def drop(self) -> None:
        self._memory.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
