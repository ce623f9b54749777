"""Which files a manifest names: read without building what nobody asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from drls_dagster.lakehouse.avro_rows import Row, Wanted, rows

if TYPE_CHECKING:
    from pyiceberg.io import FileIO

# Fields as the specification of Iceberg numbers them.
_STATUS, _FILE_PATH, _FILE_SIZE = "0", "2.100", "2.104"
_MANIFEST_PATH, _MANIFEST_SIZE = "500", "501"
_DELETED = 2


class NamedFile(NamedTuple):
    """A data or delete file that a manifest names; `live`: the table still has it there."""

    path: str
    size: int
    live: bool


def files_named(io: FileIO, manifest: str) -> Iterator[NamedFile]:
    """Every file of a manifest, those that it records as deleted too. Raises FileNotFoundError, and ValueError for
    a damaged manifest.
    """
    for state, path, size in _rows_of(io, manifest, (_STATUS, _FILE_PATH, _FILE_SIZE)):
        yield NamedFile(path, size, state != _DELETED)


def manifests_named(io: FileIO, manifest_list: str) -> Iterator[tuple[str, int]]:
    """The path and size of every manifest of a manifest list. Raises FileNotFoundError, and ValueError for a damaged
    one.
    """
    for row in _rows_of(io, manifest_list, (_MANIFEST_PATH, _MANIFEST_SIZE)):
        yield row[0], row[1]


def _rows_of(io: FileIO, path: str, wanted: Wanted) -> Iterator[Row]:
    with io.new_input(path).open() as stream:
        data = stream.read()
    try:
        yield from rows(data, wanted)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
