"""Which files the snapshots of a table need: manifest lists, manifests, data and delete files, statistics.

A manifest is read once, however many snapshots share it. Paths are passed on as they are found, so that memory does
not grow with the number of files; whoever has to remember them keeps 8 bytes for each (`Paths`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from drls_dagster.lakehouse.manifest_scan import files_named, manifests_named
from drls_dagster.lakehouse.stored_files import local_path

if TYPE_CHECKING:
    import numpy as np
    from pyiceberg.io import FileIO
    from pyiceberg.table.metadata import TableMetadata

    from drls_dagster.lakehouse.manifest_scan import NamedFile

_LOCAL_THREADS, _REMOTE_THREADS = 2, 16
_SCHEME = re.compile(r"^(?:s3a|s3n)://")

Item = TypeVar("Item")
Found = TypeVar("Found")


def normal(path: str) -> str:
    """One spelling for a file: `file:/x`, `file:///x` and `/x` are the same, and so are `s3a://` and `s3://`."""
    local = local_path(path)
    return re.sub(r"/{2,}", "/", local) if local is not None else _SCHEME.sub("s3://", path)


class Paths:
    """A set of paths that is only added to, in 8 bytes each. Two paths may look like one: never the other way round."""

    def __init__(self) -> None:
        self._new: list[int] = []
        self._sorted: np.ndarray | None = None

    def add(self, paths: Iterable[str]) -> None:
        self._new.extend(hash(normal(path)) for path in paths)

    def __len__(self) -> int:
        return len(self._all())

    def has(self, paths: Sequence[str]) -> list[bool]:
        """For each path whether it is in the set."""
        import numpy as np

        known = self._all()
        if not len(known):
            return [False] * len(paths)
        asked = np.fromiter((hash(normal(path)) for path in paths), dtype=np.int64, count=len(paths))
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        return (known[at] == asked).tolist()

    def _all(self) -> np.ndarray:
        import numpy as np

        if self._sorted is None or self._new:
            new = np.array(self._new, dtype=np.int64)
            self._new = []
            self._sorted = np.unique(new if self._sorted is None else np.concatenate([self._sorted, new]))
        return self._sorted


def manifests_of(io: FileIO, lists: Sequence[str], *, gone: bool = False) -> dict[str, int]:
    """The manifests that these manifest lists name, each once, with its size. `gone`: lists may be missing."""
    found: dict[str, int] = {}
    for manifests in each(lists, lambda one: _read(lambda: list(manifests_named(io, one)), gone=gone)):
        found.update(manifests)
    return found


def files_of(io: FileIO, manifests: Iterable[str], *, gone: bool = False) -> Iterator[list[NamedFile]]:
    """The live files of these manifests, a list for each manifest. `gone`: manifests may be missing."""

    def live(one: str) -> list[NamedFile]:
        return [file for file in files_named(io, one) if file.live]

    return each(manifests, lambda one: _read(lambda: live(one), gone=gone))


def statistics_of(metadata: TableMetadata, snapshots: set[int] | None = None) -> Iterator[tuple[str, int]]:
    """Path and size of the statistics files, of all snapshots or of these."""
    for one in (*metadata.statistics, *metadata.partition_statistics):
        if snapshots is None or one.snapshot_id in snapshots:
            yield one.statistics_path, one.file_size_in_bytes


def needed(io: FileIO, metadata: TableMetadata) -> Iterator[list[str]]:
    """Every file that the snapshots of a table need, in portions."""
    yield [path for path, _ in statistics_of(metadata)]
    yield from needed_by(io, [one.manifest_list for one in metadata.snapshots])


def needed_by(io: FileIO, lists: Sequence[str], *, gone: bool = False) -> Iterator[list[str]]:
    """These manifest lists and every file that is reached from them, in portions. `gone`: some may be missing."""
    yield list(lists)
    manifests = manifests_of(io, lists, gone=gone)
    yield list(manifests)
    for files in files_of(io, manifests, gone=gone):
        yield [file.path for file in files]


def each(items: Iterable[Item], do: Callable[[Item], Found]) -> Iterator[Found]:
    """`do` for each item in threads, the results in order. Only a few are ahead of whoever takes them."""
    left = iter(items)
    first = list(islice(left, 4))
    if len(first) < 4:
        # A few small things are not worth a thread.
        yield from map(do, first)
        return
    remote = any(local_path(str(one[0] if isinstance(one, tuple) else one)) is None for one in first)
    width = _REMOTE_THREADS if remote else _LOCAL_THREADS
    with ThreadPoolExecutor(width, "manifests") as threads:
        pending = [threads.submit(do, one) for one in (*first, *islice(left, width * 2))]
        try:
            while pending:
                yield pending.pop(0).result()
                pending.extend(threads.submit(do, one) for one in islice(left, 1))
        finally:
            threads.shutdown(cancel_futures=True)


def _read(do: Callable[[], list[Found]], *, gone: bool) -> list[Found]:
    try:
        return do()
    except FileNotFoundError:
        if not gone:
            raise
        return []
