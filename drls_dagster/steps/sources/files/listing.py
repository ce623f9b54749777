"""Which files a path means: one rule for folders of this machine and for buckets.

`*` and `?` match within one name, `[…]` one of its characters, `**` folders of any depth. Where a file or folder has
exactly the name that the path says, brackets and all, that one is meant. A folder means the files in it and in its
Hive folders (`day=2024-01-01`). A link that leads out of what sources may read is refused where the path means it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence

from drls_dagster.steps.sources.files.hive import folder_column
from drls_dagster.steps.sources.files.roots import is_pattern
from drls_dagster.steps.sources.files.storage import Entry, Storage
from drls_dagster.steps.sources.pins import SourceUnreadable

_DATA = re.compile(
    r"\.(csv|tsv|psv|txt|json|jsonl|ndjson|parquet|parq|pq)(\.(gz|bz2|zst|zstd|xz|lz4|snappy|deflate|zip))?$", re.I
)


class LeadsOutside(Exception):
    """A path means a link, or something below one, that leads to where no source may read."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        super().__init__(entry.name)


class DeltaTable(SourceUnreadable):
    """A path means the folder of one: which of its files count is in its log, which DRLS does not read."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} is a Delta table: its log decides which files count, and DRLS does not read that "
            "log; export the table as Parquet, or name the files themselves"
        )


def listed(storage: Storage, path: str) -> list[Entry]:
    """The files that a whole path or pattern means, sorted by name. Raises LeadsOutside."""
    start, segments = _split(path)
    found: dict[str, Entry] = {}
    for entry in _walk(storage, start, segments):
        if entry.is_folder:
            found.update((one.name, one) for one in _below(storage, entry.name))
        else:
            found[entry.name] = entry
    return [found[name] for name in sorted(found)]


def _split(path: str) -> tuple[str, list[str]]:
    """Where to begin, and the names below it."""
    scheme, mark, rest = path.partition("://")
    if mark:
        bucket, _, key = rest.partition("/")
        return f"{scheme}://{bucket}", [part for part in key.split("/") if part]
    return "/", [part for part in path.split("/") if part]


def _walk(storage: Storage, folder: str, segments: Sequence[str], above: tuple[str, ...] = ()) -> Iterator[Entry]:
    if not segments:
        yield from (_meant(entry) for entry in storage.look([folder]) if entry is not None)
        return
    plain = next((at for at, name in enumerate(segments) if is_pattern(name)), len(segments))
    if plain:
        whole = "/".join((folder.rstrip("/"), *segments[:plain]))
        if plain == len(segments):
            yield from (_meant(entry) for entry in storage.look([whole]) if entry is not None)
            return
        yield from _walk(storage, whole, segments[plain:])
        return
    first, rest = segments[0], segments[1:]
    if first == "**":
        yield from _walk(storage, folder, rest) if rest else _files(storage.entries(folder))
        for entry in storage.entries(folder):
            if entry.is_folder and not _hidden(entry) and _inside(entry).place not in above:
                yield from _walk(storage, _whole(entry).name, segments, _with(above, entry))
        return
    entries = storage.entries(folder)
    exact = [entry for entry in entries if _base(entry) == first]
    matched = exact or [entry for entry in entries if fnmatch.fnmatchcase(_base(entry), first)]
    for entry in matched:
        if not exact and _hidden(entry) and not first.startswith(("_", ".")):
            continue
        if not rest:
            yield _meant(_whole(entry))
        elif _inside(entry).is_folder:
            yield from _walk(storage, _whole(entry).name, rest)


def _below(storage: Storage, folder: str, above: tuple[str, ...] = ()) -> Iterator[Entry]:
    entries = storage.entries(folder)
    for entry in entries:
        if entry.is_folder and _base(entry) == "_delta_log":
            raise DeltaTable(folder)
        if entry.is_folder and folder_column(_base(entry)) is not None and _inside(entry).place not in above:
            yield from _below(storage, entry.name, _with(above, entry))
    yield from _files(entries)


def _files(entries: Sequence[Entry]) -> Iterator[Entry]:
    return (_meant(entry) for entry in entries if not entry.is_folder and not _hidden(entry))


def _with(above: tuple[str, ...], entry: Entry) -> tuple[str, ...]:
    """The folders that links lead to and that were come through: a circle of links is gone round once."""
    return (*above, entry.place) if entry.place else above


def _inside(entry: Entry) -> Entry:
    if entry.leaves:
        raise LeadsOutside(entry)
    return entry


def _meant(entry: Entry) -> Entry:
    """Raises SourceUnreadable for a link to nothing: the file that somebody meant with it is missing."""
    if entry.is_broken:
        raise SourceUnreadable(f"{entry.name} is a link that leads to nothing; correct it, or remove it")
    return _inside(entry)


def _whole(entry: Entry) -> Entry:
    """Raises SourceUnreadable for a part of a bucket's keys that is no name: clients would read another key."""
    if _base(entry) in {"", ".", ".."}:
        shown = entry.name if _base(entry) else entry.name.rstrip("/") + "//"
        raise SourceUnreadable(
            f"the keys below {shown} have an empty name, '.' or '..' between two slashes, which cannot be read; "
            "rename them, or narrow the path"
        )
    return entry


def _base(entry: Entry) -> str:
    return entry.name.rpartition("/")[2]


def _hidden(entry: Entry) -> bool:
    """Whether it is a marker or work in progress (`_SUCCESS`, `.part`, `_temporary/`); files of data are none."""
    name = _base(entry)
    if name.endswith("_$folder$"):
        return not entry.size  # with which Hadoop once marked folders of buckets
    if not name.startswith(("_", ".")):
        return False
    return folder_column(name) is None if entry.is_folder else name.startswith(("._", ".#")) or not _DATA.search(name)
