"""The files of a snapshot, from its manifests: how large they are, and how they are spread over partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.file_sizes import target_bytes
from drls_dagster.lakehouse.reader.finding import Pinned
from lifecycle.domain.table_files import (
    BUCKETS,
    FileOrder,
    FilesAsked,
    PartitionFiles,
    SizeBucket,
    TableFile,
    TableFiles,
)

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile

_LONGEST = 200  # characters of a partition's value
_CONTENTS = {0: "data", 1: "position deletes", 2: "equality deletes"}


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    content: str
    format: str
    rows: int
    bytes: int
    spec: int
    values: tuple[Any, ...]

    @property
    def is_data(self) -> bool:
        return self.content == "data"


_ORDERS: Mapping[FileOrder, Callable[[_File], Any]] = {
    FileOrder.LARGEST: lambda one: (-one.bytes, one.path),
    FileOrder.SMALLEST: lambda one: (one.bytes, one.path),
    FileOrder.PATH: lambda one: one.path,
}


def files(pinned: Pinned, asked: FilesAsked) -> TableFiles:
    """Reads the manifests, and no data."""
    every = list(_files(pinned))
    data = [one for one in every if one.is_data]
    target = target_bytes(pinned.table)
    parted = _partitions(pinned, every)
    listed = sorted(every, key=_ORDERS[asked.order])
    page = listed[asked.after : asked.after + asked.most]
    more = asked.after + len(page) < len(listed)
    return TableFiles(
        name=pinned.name,
        snapshot=pinned.snapshot,
        data_file_count=len(data),
        delete_file_count=len(every) - len(data),
        bytes=sum(one.bytes for one in data),
        rows=sum(one.rows for one in data),
        target_bytes=target,
        sizes=_sizes([one.bytes for one in data]),
        partitions=tuple(parted[: asked.partitions]),
        partitions_total=len(parted),
        files=tuple(_shown(pinned, one) for one in page),
        next=asked.after + len(page) if more else None,
    )


def _files(pinned: Pinned) -> Iterator[_File]:
    at = pinned.table.snapshot_by_id(pinned.snapshot) if pinned.snapshot is not None else None
    for manifest in at.manifests(pinned.table.io) if at is not None else ():
        for entry in manifest.fetch_manifest_entry(pinned.table.io, discard_deleted=True):
            yield _file(entry.data_file, manifest.partition_spec_id)


def _file(one: DataFile, spec: int) -> _File:
    # The class of a partition's values is made per manifest; its values are what counts.
    values = tuple(one.partition[at] for at in range(len(one.partition)))
    content = _CONTENTS[int(one.content)]
    return _File(
        one.file_path, content, str(one.file_format.value), one.record_count, one.file_size_in_bytes, spec, values
    )


def _partitions(pinned: Pinned, every: Sequence[_File]) -> list[PartitionFiles]:
    """Largest first; one for a table without partitions."""
    groups: dict[tuple[int, tuple[Any, ...]], list[_File]] = {}
    for one in every:
        groups.setdefault((one.spec, one.values), []).append(one)
    found: list[PartitionFiles] = []
    for (spec, values), group in groups.items():
        data = [one for one in group if one.is_data]
        found.append(
            PartitionFiles(
                partition=_words(pinned, spec, values),
                spec_id=spec,
                data_file_count=len(data),
                delete_file_count=len(group) - len(data),
                rows=sum(one.rows for one in data),
                bytes=sum(one.bytes for one in data),
                smallest=min((one.bytes for one in data), default=0),
                largest=max((one.bytes for one in data), default=0),
            )
        )
    return sorted(found, key=lambda one: (-one.bytes, str(one.partition)))


def _words(pinned: Pinned, spec: int, values: Sequence[Any]) -> dict[str, str | None]:
    """A partition's values as people write them: the month 2013-01, not 516."""
    found = pinned.table.specs().get(spec)
    schema = pinned.table.schema()
    words: dict[str, str | None] = {}
    for field, value in zip(found.fields if found is not None else (), values, strict=False):
        if value is None:
            words[field.name] = None
            continue
        try:
            text = field.transform.to_human_string(schema.find_type(field.source_id), value)
        except (ValueError, TypeError, AttributeError):
            # The column is gone, or the transform is one that this library does not know.
            text = str(value)
        words[field.name] = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return words


def _sizes(sizes: Sequence[int]) -> tuple[SizeBucket, ...]:
    """How many files have which size, between the first and the last bucket that has any."""
    counts = [[0, 0] for _ in (*BUCKETS, None)]
    for size in sizes:
        at = next((place for place, below in enumerate(BUCKETS) if size < below), len(BUCKETS))
        counts[at][0] += 1
        counts[at][1] += size
    used = [place for place, (number, _) in enumerate(counts) if number]
    if not used:
        return ()
    limits = [0, *BUCKETS]
    ends: list[int | None] = [*BUCKETS, None]
    return tuple(
        SizeBucket(at_least=limits[place], below=ends[place], data_file_count=counts[place][0], bytes=counts[place][1])
        for place in range(used[0], used[-1] + 1)
    )


def _shown(pinned: Pinned, one: _File) -> TableFile:
    return TableFile(
        path=one.path,
        content=one.content,
        format=one.format.lower(),
        partition=_words(pinned, one.spec, one.values),
        rows=one.rows,
        bytes=one.bytes,
    )
