"""Which files a manifest names: read without building what nobody asks for.

PyIceberg builds an object with all statistics for each file. Here only the status, path and size of an entry are
decoded, and the rest is passed over, which is several times as fast and needs memory for one block at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pyiceberg.avro.decoder import BinaryDecoder
    from pyiceberg.io import FileIO

    Skip = Callable[[BinaryDecoder], None]
    Read = Callable[[BinaryDecoder], tuple[int, str, int]]
    _Field = tuple[int, Any]

_SYNC = 16
_DELETED = 2


class NamedFile(NamedTuple):
    """A data or delete file that a manifest names; `live`: the table still has it there."""

    path: str
    size: int
    live: bool


def files_named(io: FileIO, manifest: str) -> Iterator[NamedFile]:
    """Every file of a manifest, those that it records as deleted too. Raises FileNotFoundError."""
    for state, path, size in _records(io, manifest, _entry):
        yield NamedFile(path, size, state != _DELETED)


def manifests_named(io: FileIO, manifest_list: str) -> Iterator[tuple[str, int]]:
    """The path and size of every manifest of a manifest list. Raises FileNotFoundError."""
    for _, path, size in _records(io, manifest_list, _listed):
        yield path, size


def _records(io: FileIO, path: str, reader: Callable[[Mapping[str, Any]], Read]) -> Iterator[tuple[int, str, int]]:
    from pyiceberg.avro.codecs import KNOWN_CODECS
    from pyiceberg.avro.decoder import new_decoder

    with io.new_input(path).open() as stream:
        decoder = new_decoder(stream.read())
    meta, sync = _header(decoder, path)
    named = meta.get("avro.codec", b"null").decode()
    codec = next(one for name, one in KNOWN_CODECS.items() if name == named)
    read = reader(json.loads(meta["avro.schema"]))
    while True:
        try:
            count = decoder.read_int()
        except EOFError:
            return
        block = decoder.read_bytes()
        entries = new_decoder(block if codec is None else codec.decompress(block))
        for _ in range(count):
            yield read(entries)
        if decoder.read(_SYNC) != sync:
            raise ValueError(f"{path} is damaged: a block does not end where it should")


def _header(decoder: BinaryDecoder, manifest: str) -> tuple[Mapping[str, bytes], bytes]:
    if decoder.read(4) != b"Obj\x01":
        raise ValueError(f"{manifest} is damaged: it is not an Avro file")
    meta: dict[str, bytes] = {}
    while count := decoder.read_int():
        if count < 0:
            count = -count
            decoder.skip_int()
        for _ in range(count):
            name = decoder.read_utf8()
            meta[name] = decoder.read_bytes()
    return meta, decoder.read(_SYNC)


def _entry(schema: Mapping[str, Any]) -> Read:
    """Reads an entry of a manifest: its status, and path and size of its file."""
    known: dict[str, Any] = {}
    entry = _fields(schema)
    file = _fields(dict(entry)[2])
    before, between, behind = _around(entry, 0, 2)
    first, second, last = (_skips(entry[one], known) for one in (before, between, behind))
    inner = _path_and_size(file, 100, 104, known)

    def read(decoder: BinaryDecoder) -> tuple[int, str, int]:
        for skip in first:
            skip(decoder)
        state = decoder.read_int()
        for skip in second:
            skip(decoder)
        _, path, size = inner(decoder)
        for skip in last:
            skip(decoder)
        return state, path, size

    return read


def _listed(schema: Mapping[str, Any]) -> Read:
    """Reads an entry of a manifest list."""
    return _path_and_size(_fields(schema), 500, 501, {})


def _path_and_size(fields: list[_Field], path: int, size: int, known: dict[str, Any]) -> Read:
    before, between, behind = _around(fields, path, size)
    first, second, last = (_skips(fields[one], known) for one in (before, between, behind))

    def read(decoder: BinaryDecoder) -> tuple[int, str, int]:
        for skip in first:
            skip(decoder)
        where = decoder.read_utf8()
        for skip in second:
            skip(decoder)
        length = decoder.read_int()
        for skip in last:
            skip(decoder)
        return 0, where, length

    return read


def _fields(record: Mapping[str, Any]) -> list[_Field]:
    """The fields in the order of the file, as the specification numbers them."""
    return [(field["field-id"], field["type"]) for field in record["fields"]]


def _around(fields: list[_Field], one: int, other: int) -> tuple[slice, slice, slice]:
    """The fields before `one`, between the two, and behind `other`."""
    numbers = [number for number, _ in fields]
    first, second = numbers.index(one), numbers.index(other)
    if first > second:
        raise ValueError("a manifest has its fields in an order that no writer uses")
    return slice(0, first), slice(first + 1, second), slice(second + 1, None)


def _skips(fields: list[_Field], known: dict[str, Any]) -> list[Skip]:
    return [_skip(kind, known) for _, kind in fields]


def _skip(kind: Any, known: dict[str, Any]) -> Skip:
    """Passes over a value of an Avro type."""
    if isinstance(kind, list):
        return _skip_union([_skip(one, known) for one in kind])
    if isinstance(kind, str):
        found = known.get(kind)
        return found if found is not None else _PRIMITIVE[kind]
    name = kind["type"]
    if name == "record":
        parts = [_skip(field["type"], known) for field in kind["fields"]]
        done = _skip_all(parts)
    elif name == "array":
        done = _skip_array(kind["items"], known)
    elif name == "map":
        value = _skip(kind["values"], known)
        done = _skip_blocks(_skip_all([_PRIMITIVE["string"], value]))
    elif name == "fixed":
        length = int(kind["size"])
        done = lambda decoder: decoder.skip(length)  # noqa: E731
    else:
        return _skip(name, known)
    if "name" in kind:
        known[kind["name"]] = done
    return done


_PRIMITIVE: Mapping[str, Skip] = {
    "null": lambda _: None,
    "boolean": lambda decoder: decoder.skip_boolean(),
    "int": lambda decoder: decoder.skip_int(),
    "long": lambda decoder: decoder.skip_int(),
    "float": lambda decoder: decoder.skip_float(),
    "double": lambda decoder: decoder.skip_double(),
    "bytes": lambda decoder: decoder.skip_bytes(),
    "string": lambda decoder: decoder.skip_utf8(),
}


def _skip_all(parts: list[Skip]) -> Skip:
    def skip(decoder: BinaryDecoder) -> None:
        for one in parts:
            one(decoder)

    return skip


def _skip_union(branches: list[Skip]) -> Skip:
    def skip(decoder: BinaryDecoder) -> None:
        branches[decoder.read_int()](decoder)

    return skip


def _skip_array(items: Any, known: dict[str, Any]) -> Skip:
    """A map of column statistics is an array of pairs, for which the decoder has calls of its own."""
    pair = [field["type"] for field in items["fields"]] if _is_pair(items) else []
    if pair == ["int", "long"]:
        return _skip_blocks(None, lambda decoder, count: decoder.read_ints(2 * count))
    if pair == ["int", "bytes"]:
        return _skip_blocks(None, lambda decoder, count: decoder.read_int_bytes_dict(count, {}))
    return _skip_blocks(_skip(items, known))


def _is_pair(items: Any) -> bool:
    return isinstance(items, dict) and items["type"] == "record" and len(items["fields"]) == 2


def _skip_blocks(one: Skip | None, many: Callable[[BinaryDecoder, int], object] | None = None) -> Skip:
    def skip(decoder: BinaryDecoder) -> None:
        while count := decoder.read_int():
            if count < 0:
                # Such a block says how long it is.
                decoder.skip(decoder.read_int())
            elif many is not None:
                many(decoder, count)
            else:
                for _ in range(count):
                    one(decoder)  # pyright: ignore[reportOptionalCall] (one of the two)

    return skip
