"""Sealing what a publish makes visible, and looking whether it still is what was published (L17).

Computed by the platform from the files themselves: nothing here is taken from the run. No Spark.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.stored_files import Seen, close_for_writing, digest, local_path, see
from lifecycle.domain.seal import Altered, Digests, FileKind, SealedFile, SealedFiles, Why

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

THREADS = 2
_REMOTE_THREADS = 16
_SAMPLE_FILES, _SAMPLE_BYTES = 8, 256 << 20
_BEAT_SECONDS = 10.0
_KNOWN = 200_000

Item = TypeVar("Item")
Result = TypeVar("Result")
# Where a table is, and the snapshots that a publish moves its ref from and to.
Publishing = tuple[str, "int | None", int]


@dataclass(frozen=True)
class _Named:
    """A file as a snapshot names it; `size` is None where nothing says it."""

    kind: FileKind
    path: str
    size: int | None = None
    snapshot: int | None = None


def seal(table: Table, base: int | None, candidate: int, *, root: Path | None = None, own: bool = False) -> SealedFiles:
    """Every file that a publish of `candidate` over `base` makes visible.

    Local files below `root` (the warehouse) become read-only before they are read; `own`: root takes them over. Raises
    DrlsError where one is not what its manifest says, or is written meanwhile.
    """
    named = list(_new_files(table, base, candidate))

    def sealed(one: _Named) -> SealedFile:
        try:
            close_for_writing(one.path, root, own=own)
            seen, content = _sealed_content(table.io, one)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise DrlsError(f"{_name(table)} cannot be sealed: {_short(one)}: {why}") from None
        if one.size is not None and one.size != seen.size:
            raise DrlsError(
                f"{_name(table)} cannot be sealed: {_short(one)} has {seen.size} bytes; its manifest says {one.size}"
            )
        return SealedFile(one.kind, one.path, seen.size, content, seen.tag, seen.identity, one.snapshot)

    return SealedFiles.of(_in_threads(sealed, named))


def _sealed_content(io: FileIO, one: _Named) -> tuple[Seen, str]:
    if local_path(one.path) is None and one.kind in (FileKind.DATA, FileKind.DELETES):
        # An object store names what it has: reading it all back would cost as much as writing it did.
        seen = see(io, one.path)
        if seen is None:
            raise FileNotFoundError(2, "is gone", one.path)
        if seen.tag:
            return seen, ""
    return digest(io, one.path)


def _new_files(table: Table, base: int | None, candidate: int) -> Iterator[_Named]:
    made: list[Snapshot] = []
    for snapshot in refs.ancestors(table, candidate):
        if snapshot.snapshot_id == base:
            break
        made.append(snapshot)
    if not made and candidate != base:
        raise DrlsError(f"{_name(table)} no longer has snapshot {candidate}")
    ids = {snapshot.snapshot_id for snapshot in made}
    known: set[str] = set()
    for snapshot in made:
        yield _Named(FileKind.LIST, snapshot.manifest_list, snapshot=snapshot.snapshot_id)
        for manifest in snapshot.manifests(table.io):
            if manifest.added_snapshot_id not in ids or manifest.manifest_path in known:
                continue
            known.add(manifest.manifest_path)
            yield _Named(FileKind.MANIFEST, manifest.manifest_path, manifest.manifest_length)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                file = entry.data_file
                if (entry.snapshot_id is None or entry.snapshot_id in ids) and file.file_path not in known:
                    known.add(file.file_path)
                    kind = FileKind.DATA if file.content == 0 else FileKind.DELETES
                    yield _Named(kind, file.file_path, file.file_size_in_bytes)


def sealed_now(table: Table, file: SealedFile) -> SealedFiles:
    """A sealed file as it is now. Raises DrlsError when it cannot be read."""
    try:
        seen, content = _sealed_content(table.io, _Named(file.kind, file.path))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise DrlsError(f"{_name(table)}: {file.name} cannot be read: {why}") from None
    return SealedFiles.of([file._replace(size=seen.size, digest=content, tag=seen.tag, identity=seen.identity)])


class Sealing:
    """Seals that were begun before they are asked for: the checks of a sink read what is hashed at the same time."""

    _KEPT = 64

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: OrderedDict[tuple[int, Publishing], _Begun] = OrderedDict()

    def begin(self, key: Publishing, work: Callable[[], SealedFiles]) -> None:
        """Starts `work` in the background, once."""
        with self._lock:
            # A thread of the process that this one was forked from does nothing here.
            if (os.getpid(), key) in self._begun:
                return
            begun = self._begun[os.getpid(), key] = _Begun(work)
            while len(self._begun) > self._KEPT:
                self._begun.popitem(last=False)
        begun.thread.start()

    def result(self, key: Publishing, work: Callable[[], SealedFiles]) -> SealedFiles:
        """What was begun, or is done now. What failed is tried again the next time."""
        self.begin(key, work)
        with self._lock:
            begun = self._begun[os.getpid(), key]
        try:
            return begun.joined()
        except BaseException:
            with self._lock:
                self._begun.pop((os.getpid(), key), None)
            raise


class _Begun:
    def __init__(self, work: Callable[[], SealedFiles]) -> None:
        self._work = work
        self._found: SealedFiles | None = None
        self._error: Exception | None = None
        self.thread = threading.Thread(target=self._run, name="seal", daemon=True)

    def _run(self) -> None:
        try:
            self._found = self._work()
        except Exception as error:  # noqa: BLE001 (raised where the seal is asked for)
            self._error = error

    def joined(self) -> SealedFiles:
        self.thread.join()
        if self._error is not None:
            raise self._error
        assert self._found is not None  # noqa: S101 (one of the two)
        return self._found


@dataclass
class Watcher:
    """Looks at sealed files. What it has read it remembers, so that a file is read again only when it changed."""

    # By path: how a file was when its content was found to be what was sealed.
    _read: dict[str, Seen] = field(default_factory=dict)
    _manifests: OrderedDict[str, frozenset[str]] = field(default_factory=OrderedDict)

    def altered(
        self,
        name: str,
        table: Table,
        sealed: Sequence[SealedFiles],
        digests: Digests,
        *,
        head: int | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> list[Altered]:
        """Which files are not as they were published. With `head`, one that it does not need may be gone."""
        files = {one.path: one for files in sealed for one in files.files}
        sampled = _sample(files.values()) if digests is Digests.SAMPLE else frozenset()
        beat = _Beat(alive)

        def look(one: SealedFile) -> Altered | None:
            beat()
            thorough = digests is Digests.ALL or one.path in sampled
            return self._look(name, table, one, beat, thorough=thorough)

        found = [one for one in _in_threads(look, list(files.values())) if one is not None]
        found += _moved_lists(name, table, files.values())
        if found and head is not None:
            needed = self._needed(table, head)
            found = [one for one in found if one.path in needed]
        return sorted(found, key=lambda one: one.name)

    def _look(
        self, name: str, table: Table, one: SealedFile, beat: Callable[[], None], *, thorough: bool
    ) -> Altered | None:
        def is_(why: Why, detail: str = "") -> Altered:
            return Altered(table=name, name=one.name, path=one.path, why=why, detail=detail, snapshot=one.snapshot)

        seen = see(table.io, one.path)
        if seen is None:
            return is_(Why.GONE)
        if seen.size != one.size:
            return is_(Why.SIZE, f"{seen.size} bytes instead of {one.size}")
        same = (seen.identity, seen.tag) == (one.identity, one.tag) or self._read.get(one.path) == seen
        if same and not (thorough and one.digest):
            return None
        if not one.digest:
            return is_(Why.CONTENT)
        try:
            now, content = digest(table.io, one.path, beat)
        except OSError as error:
            return is_(Why.UNREAD, error.strerror or type(error).__name__)
        if content != one.digest:
            return is_(Why.CONTENT)
        if len(self._read) >= _KNOWN:
            self._read.clear()
        self._read[one.path] = now
        return None

    def _needed(self, table: Table, head: int) -> set[str]:
        """Every file that a snapshot needs to be read."""
        snapshot = table.snapshot_by_id(head)
        if snapshot is None:
            return set()
        needed = {snapshot.manifest_list}
        # One that cannot be read is itself not what was sealed.
        with suppress(Exception):
            for manifest in snapshot.manifests(table.io):
                needed.add(manifest.manifest_path)
                with suppress(Exception):
                    needed |= self._named_by(table.io, manifest)
        return needed

    def _named_by(self, io: FileIO, manifest: ManifestFile) -> frozenset[str]:
        known = self._manifests.get(manifest.manifest_path)
        if known is None:
            entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
            known = self._manifests[manifest.manifest_path] = frozenset(one.data_file.file_path for one in entries)
            while sum(map(len, self._manifests.values())) > _KNOWN and len(self._manifests) > 1:
                self._manifests.popitem(last=False)
        return known


def _moved_lists(name: str, table: Table, files: Iterable[SealedFile]) -> Iterator[Altered]:
    """Snapshots that the table's metadata now says to be made of other files than those that were sealed."""
    for one in files:
        if one.kind is FileKind.LIST and one.snapshot is not None:
            snapshot = table.snapshot_by_id(one.snapshot)
            if snapshot is not None and snapshot.manifest_list != one.path:
                yield Altered(
                    table=name,
                    name=f"snapshot {one.snapshot}",
                    path=snapshot.manifest_list,
                    why=Why.LISTED,
                    snapshot=one.snapshot,
                )


def _sample(files: Iterable[SealedFile]) -> frozenset[str]:
    """Some files by chance, the first one whatever its size."""
    left = list(files)
    chosen: list[SealedFile] = []
    size = 0
    while left and len(chosen) < _SAMPLE_FILES:
        at = secrets.randbelow(len(left))
        left[at], left[-1] = left[-1], left[at]
        one = left.pop()
        if chosen and size + one.size > _SAMPLE_BYTES:
            break
        chosen.append(one)
        size += one.size
    return frozenset(one.path for one in chosen)


class _Beat:
    """Calls `alive` every few seconds, from whichever thread is first."""

    def __init__(self, alive: Callable[[], None]) -> None:
        self._alive = alive
        self._lock = threading.Lock()
        self._next = time.monotonic() + _BEAT_SECONDS

    def __call__(self) -> None:
        if time.monotonic() < self._next or not self._lock.acquire(blocking=False):
            return
        try:
            self._next = time.monotonic() + _BEAT_SECONDS
            self._alive()
        finally:
            self._lock.release()


def _in_threads(do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results in order. A few small things are not worth a thread."""
    if len(items) < 4:
        return [do(one) for one in items]
    remote = any(isinstance(one, (_Named, SealedFile)) and local_path(one.path) is None for one in items)
    with ThreadPoolExecutor(_REMOTE_THREADS if remote else THREADS, "seal") as threads:
        pending = threads.map(do, items)
        try:
            return list(pending)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _short(one: _Named) -> str:
    return SealedFile(one.kind, one.path, 0).name


def _name(table: Table) -> str:
    return ".".join(table.name())
