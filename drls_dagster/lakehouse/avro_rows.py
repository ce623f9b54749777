"""Reads a few fields of manifests, several times faster than whole entries.

PyIceberg makes an object of every field of every file. Here a function is written for each schema that occurs: it keeps
the wanted fields and skips the others with PyIceberg's own decoder, which is compiled. Only whole numbers of the schema
get into the function's text, no names.

The compiled decoder trusts every length it reads, and reads past the end of its bytes. So it only gets blocks that are
whole: around them, the slower one is used, which checks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pyiceberg.avro.codecs import KNOWN_CODECS
from pyiceberg.avro.decoder import BinaryDecoder, StreamingBinaryDecoder, new_decoder

if TYPE_CHECKING:
    from pyiceberg.avro.codecs.codec import Codec

_MAGIC = b"Obj\x01"
_SYNC = 16
_SCALARS = {
    "int": "skip_int()",
    "long": "skip_int()",
    "enum": "skip_int()",
    "string": "skip_bytes()",
    "bytes": "skip_bytes()",
    "boolean": "skip_boolean()",
    "float": "skip(4)",
    "double": "skip(8)",
}
Row = tuple[Any, ...]
Wanted = tuple[str, ...]
"""Fields by id, as paths of ids for nested ones: `2.104`. A trailing `*` takes the bytes as they are."""


def rows(data: bytes, wanted: Wanted) -> Iterator[Row]:
    """The `wanted` fields of each record of an Avro file, in their order; None for one that the file does not have.

    Raises ValueError for what is no Avro file, is damaged, or has a schema that nobody knows.
    """
    try:
        yield from _rows(data, wanted)
    except EOFError:
        raise ValueError("the file ends in the middle of a record") from None
    except (LookupError, TypeError, MemoryError, SystemError) as error:
        # A schema without its parts, and what the compiled decoder comes to where a length makes no sense.
        raise ValueError("its schema or a length in it makes no sense") from error


def _rows(data: bytes, wanted: Wanted) -> Iterator[Row]:
    file = StreamingBinaryDecoder(data)
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("this is no Avro file")
    header = dict(_header(file))
    sync = file.read(_SYNC)
    name = header.get("avro.codec", b"null").decode()
    if name not in KNOWN_CODECS:
        raise ValueError(f"the codec {name!r} is not known")
    codec = KNOWN_CODECS[name]  # pyright: ignore[reportArgumentType]
    if "avro.schema" not in header:
        raise ValueError("the file has no schema")
    read = _reader(header["avro.schema"], wanted)
    while file.tell() < len(data):
        count = file.read_int()
        block = file.read_bytes()
        if file.read(_SYNC) != sync:
            raise ValueError("a block does not end where it should")
        plain = _unpacked(codec, block)
        if not 0 <= count <= len(plain):
            raise ValueError("a block has another number of records than it says")
        yield from read(new_decoder(plain), plain, count)


def _unpacked(codec: type[Codec] | None, block: bytes) -> bytes:
    """Each codec has errors of its own for bytes that it never wrote."""
    if codec is None:
        return block
    try:
        return codec.decompress(block)
    except Exception as error:
        raise ValueError(f"a block cannot be unpacked: {error}") from error


def _header(file: BinaryDecoder) -> Iterator[tuple[str, bytes]]:
    while count := file.read_int():
        if count < 0:
            file.read_int()
        for _ in range(abs(count)):
            yield file.read_utf8(), file.read_bytes()


@lru_cache(maxsize=64)
def _reader(schema: bytes, wanted: Wanted) -> Callable[[BinaryDecoder, bytes, int], list[Row]]:
    """A function of a decoder, its bytes and a number of records."""
    names = {path.rstrip("*"): f"v{at}" for at, path in enumerate(wanted)}
    raw = {path.rstrip("*") for path in wanted if path.endswith("*")}
    body = _Writer(names, raw).record(json.loads(schema)["fields"], "")
    values = "".join(f"{name}, " for name in names.values())
    lines = [
        "def read(d, data, count):",
        "    read_int = d.read_int; skip_int = d.skip_int; skip_bytes = d.skip_bytes; skip = d.skip; tell = d.tell",
        "    read_ints = d.read_ints; read_bytes_by_int = d.read_int_bytes_dict",
        "    skip_boolean = d.skip_boolean; read_utf8 = d.read_utf8; read_bytes = d.read_bytes",
        "    unused = {}; found = []",
        f"    {' = '.join([*names.values(), 'None'])}",
        "    for _ in range(count):",
        *(f"        {line}" for line in body),
        f"        found.append(({values}))",
        "    return found",
    ]
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)  # noqa: S102 (made of whole numbers and the words above)
    return scope["read"]


class _Writer:
    """Writes the lines that read a record. `wanted`: the variable of each field that is kept."""

    def __init__(self, wanted: Mapping[str, str], raw: set[str]) -> None:
        self._wanted = wanted
        self._raw = raw
        self._named: dict[str, Any] = {}

    def record(self, fields: Sequence[Mapping[str, Any]], above: str) -> list[str]:
        lines: list[str] = []
        for field in fields:
            number = field.get("field-id")
            path = f"{above}{int(number)}" if number is not None else ""
            variable = self._wanted.get(path)
            if variable is None:
                lines += self.skip(field["type"], f"{path}.")
            elif path in self._raw:
                lines += ["start = tell()", *self.skip(field["type"], ""), f"{variable} = data[start:tell()]"]
            else:
                lines += self._keep(field["type"], variable)
        return lines

    def skip(self, kind: Any, path: str) -> list[str]:
        """Leaves a value out, except for what is wanted of the records in it."""
        if isinstance(kind, list):
            return self._union(kind, lambda one: self.skip(one, path), [])
        of: Mapping[str, Any] = {"type": kind} if isinstance(kind, str) else kind
        name = of["type"]
        if "name" in of:
            self._named[of["name"]] = of
        match name:
            case "null":
                return []
            case "fixed":
                return [f"skip({int(of['size'])})"]
            case "record":
                return self.record(of["fields"], path)
            case "array":
                return _blocks(self._items(of["items"]))
            case "map":
                return _blocks(_each(["skip_bytes()", *self.skip(of["values"], "")]))
            case dict() | list():
                return self.skip(name, path)
            case str() if name in _SCALARS:
                return [_SCALARS[name]]
            case str() if name in self._named:
                return self.skip(self._named[name], path)
            case _:
                raise ValueError("the schema of the manifest has a type that is not known")

    def _keep(self, kind: Any, variable: str) -> list[str]:
        if isinstance(kind, list):
            return self._union(kind, lambda one: self._keep(one, variable), [f"{variable} = None"])
        name = kind if isinstance(kind, str) else kind["type"]
        match name:
            case "int" | "long":
                return [f"{variable} = read_int()"]
            case "string":
                return [f"{variable} = read_utf8()"]
            case "bytes":
                return [f"{variable} = read_bytes()"]
            case "array":
                return [f"{variable} = {{}}", *_blocks([f"read_bytes_by_int(n, {variable})"])]
            case _:
                raise ValueError("the schema of the manifest has a field of an unexpected type")

    def _union(self, kinds: Sequence[Any], lines: Callable[[Any], list[str]], null: list[str]) -> list[str]:
        each = [null if one == "null" else lines(one) for one in kinds]
        if len(kinds) == 2:
            second = ["if read_int():", *_indented(each[1] or ["pass"])]
            return [*second, *(["else:", *_indented(each[0])] if each[0] else [])]
        found = ["at = read_int()"]
        for at, body in enumerate(each):
            found += [f"{'if' if at == 0 else 'elif'} at == {at}:", *_indented(body or ["pass"])]
        return found

    def _items(self, items: Any) -> list[str]:
        """What skips `n` items of an array. Iceberg writes maps with numbers as keys as arrays of pairs."""
        match _kinds_in(items):
            case ["int", "long"] | ["long", "long"] | ["int", "int"]:
                return ["read_ints(2 * n)"]
            case ["int", "bytes"]:
                return ["read_bytes_by_int(n, unused)"]
            case _ if items in ("int", "long"):
                return ["read_ints(n)"]
            case _:
                return _each(self.skip(items, ""))


def _kinds_in(items: Any) -> list[Any]:
    if isinstance(items, dict) and items.get("type") == "record":
        return [field["type"] for field in items["fields"]]
    return []


def _each(body: list[str]) -> list[str]:
    return ["for _ in range(n):", *_indented(body or ["pass"])]


def _blocks(body: list[str]) -> list[str]:
    """An array: blocks of items, each with their number, and with their bytes where that is negative."""
    return ["n = read_int()", "while n:", *_indented(["if n < 0: n = -n; skip_int()", *body, "n = read_int()"])]


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
