"""What a file is, by its first bytes: how it is compressed and in which characters it is written."""

from __future__ import annotations

import bz2
import codecs
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from drls_dagster.steps.sources.files.storage import Storage, in_parallel, storage_of_place
from drls_dagster.steps.sources.pins import SourceUnreadable

HEAD = 64 * 1024
_PIECE = 4 * 2**20
_LONG = 4 * 2**20  # of a file whose first line or record is longer than HEAD
_MAGIC = {
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zst",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
}
_NEVER = {
    b"PK\x03\x04": "a ZIP archive (or an Office document); unpack it, or compress it with gzip",
    b"PK\x05\x06": "an empty ZIP archive",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"PAR1": "a Parquet file; read it with `format: parquet`",
    b"PARE": "an encrypted Parquet file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"ARROW1": "an Arrow file",
    b"\xd0\xcf\x11\xe0": "an old Office document; export it as text",
    b"%PDF-": "a PDF document",
    b"SQLite format 3": "an SQLite database",
}
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENDINGS = {"gz": "gz", "gzip": "gz", "bz2": "bz2", "zst": "zst", "zstd": "zst", "xz": "xz", "lz4": "lz4", "zip": "zip"}
_UNREAD = {
    "br": "Brotli", "z": "compress", "zz": "zlib", "zlib": "zlib", "lzo": "LZO", "lzma": "the old LZMA",
    "sz": "framed Snappy",
}  # fmt: skip
# These are left to Spark's readers; the rest is unpacked first.
_SPARKS = {"": "", "gz": ".gz", "bz2": ".bz2"}
_PAGES = {"<!doctype html": "an HTML page; fetch the file itself", "<html": "an HTML page; fetch the file itself"}
_HADOOPS = (".snappy", ".deflate")  # formats of Hadoop, without a mark by which they are known


@dataclass(frozen=True)
class Head:
    """The beginning of a file of text."""

    name: str
    packed: str = ""  # gz, bz2, zst, xz, lz4
    encoding: str = "utf-8"  # Python's name; utf-8-sig where the file begins with a mark
    text: str = ""
    whole: bool = True  # nothing comes after `text`
    opaque: bool = False  # Hadoop's own packing: only Spark looks inside

    @property
    def empty(self) -> bool:
        return self.whole and not self.opaque and not self.text.strip("\ufeff \t\r\n")

    @property
    def ending(self) -> str:
        """What a file's name must end with for Spark to unpack it, None where Spark cannot."""
        return next((end for end in _HADOOPS if self.name.endswith(end)), _SPARKS.get(self.packed, ""))

    @property
    def sparks(self) -> bool:
        """Whether Spark reads these bytes as they are."""
        return self.packed in _SPARKS and self.encoding in {"utf-8", "utf-8-sig", "iso8859-1"}


def heads_of(node: str, files: Sequence[tuple[str, str]], encoding: str | None, what: str) -> list[Head]:
    """The heads of files of text, given as (name for people, where it lies). Raises SourceUnreadable by name."""
    codec = None if encoding is None else _codec(node, encoding)
    return in_parallel(lambda file: _head(node, file[0], file[1], codec, what), files)


def refuse_other_formats(node: str, name: str, data: bytes, what: str) -> None:
    """Raises SourceUnreadable where a file is known to be something else."""
    for magic, told in _NEVER.items():
        if data.startswith(magic) and not (magic == b"ORC" and b"," in data[:16]):
            raise SourceUnreadable(f"node '{node}': {name} is not a {what} but {told}")
    if data[257:262] == b"ustar":
        raise SourceUnreadable(f"node '{node}': {name} is not a {what} but a tar archive; unpack it")


def packing(data: bytes) -> str:
    """How bytes are compressed, by what they begin with."""
    return next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")


def unpacked(file: IO[bytes], packed: str) -> Any:
    """A stream of what is packed in `file`; several members after each other are one."""
    import pyarrow as pa

    if packed == "xz":
        return lzma.open(file)
    if packed == "bz2":
        return bz2.open(file)
    if packed:
        names = {"gz": "gzip", "zst": "zstd", "lz4": "lz4"}
        return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), names[packed])
    return file


def refuse_undecodable(node: str, name: str, error: UnicodeError, at: int = 0) -> SourceUnreadable:
    """The error of bytes that are not in the encoding; `at` is where the decoded piece began."""
    place = at + getattr(error, "start", 0)
    wrong = getattr(error, "object", b"")[getattr(error, "start", 0) :][:1].hex()
    encoding = str(getattr(error, "encoding", "utf-8")).upper()
    byte = f" (0x{wrong})" if wrong else ""
    return SourceUnreadable(
        f"node '{node}': {name} is not {encoding}: byte {place:,}{byte} cannot be decoded; set its `encoding` "
        "in the source's options, such as ISO-8859-1 or windows-1252, or convert the file"
    )


def _codec(node: str, encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise SourceUnreadable(
            f"node '{node}': the encoding '{encoding}' is unknown; use UTF-8 or another known encoding"
        ) from None
    return name


def _head(node: str, name: str, path: str, codec: str | None, what: str) -> Head:
    storage: Storage = storage_of_place(path)
    data, packed, whole = _bytes(node, storage, name, path, what)
    if packed == "?":
        return Head(name, opaque=True)
    refuse_other_formats(node, name, data, what)
    if packed and packing(data):
        raise SourceUnreadable(f"node '{node}': {name} is compressed twice; decompress it once")
    encoding = _encoding(node, name, data, codec, what)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeError as error:
        raise refuse_undecodable(node, name, error) from None
    begins = text[:200].lstrip("\ufeff \t\r\n").lower()
    page = next((told for mark, told in _PAGES.items() if begins.startswith(mark)), None)
    if page is not None:
        raise SourceUnreadable(f"node '{node}': {name} is not a {what} but {page}")
    return Head(name, packed, encoding, text, whole)


def _bytes(node: str, storage: Storage, name: str, path: str, what: str) -> tuple[bytes, str, bool]:
    """The first bytes, unpacked; how they were packed; and whether that is all there is."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    named = _ENDINGS.get(ending, "")
    if ending in _UNREAD:
        raise SourceUnreadable(
            f"node '{node}': {name} is named as compressed with {_UNREAD[ending]}, which is not read; decompress it, "
            "or compress it with gzip or zstd"
        )
    with storage.open(path) as file:
        start = file.read(HEAD)
        if not start:
            return b"", "", True
        packed = packing(start)
        refuse_other_formats(node, name, start, what)
        if not packed and name.lower().endswith(_HADOOPS):
            if name.lower().endswith(".snappy") and not _is_hadoops_snappy(start):
                raise SourceUnreadable(
                    f"node '{node}': {name} is not in Hadoop's form of Snappy, the only one that Spark reads; compress "
                    "it with gzip or zstd"
                )
            return b"", "?", False
        if named != packed:
            if named and not packed:
                raise SourceUnreadable(f"node '{node}': {name} is named as if compressed, but is not; rename it")
            raise SourceUnreadable(
                f"node '{node}': {name} is compressed with {packed}, but its name does not say so; add "
                f"the ending .{packed}"
            )
        if not packed:
            data = start
            while b"\n" not in data and b"\r" not in data and len(data) < _LONG and (more := file.read(HEAD)):
                data += more
            return data, "", not file.read(1)
        file.seek(0)
        try:
            with unpacked(file, packed) as stream:
                data = stream.read(HEAD)
                while b"\n" not in data and b"\r" not in data and len(data) < _LONG and (more := stream.read(HEAD)):
                    data += more
                return data, packed, not stream.read(1)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SourceUnreadable(f"node '{node}': {name} cannot be decompressed ({said}); send it again") from None


def _is_hadoops_snappy(start: bytes) -> bool:
    """Whether bytes begin as its blocks do: the length of what is packed, and of its first part."""
    whole, part = int.from_bytes(start[:4]), int.from_bytes(start[4:8])
    return whole == 0 or 0 < part <= whole + whole // 6 + 32 < 2**28


def _encoding(node: str, name: str, data: bytes, codec: str | None, what: str) -> str:
    marked = next((encoding for mark, encoding in _BOMS if data.startswith(mark)), None)
    if marked is not None:
        if codec is not None and not _agrees(codec, marked):
            raise SourceUnreadable(
                f"node '{node}': {name} starts with the byte order mark of "
                f"{marked.removesuffix('-sig').upper()}, but the source's options say `encoding: "
                f"{codec.upper()}`; remove the encoding, or correct it"
            )
        return marked
    if codec in {"utf-16", "utf-32"}:  # without a mark neither says which byte comes first
        low, high = data[1::2].count(0), data[0::2].count(0)
        return f"{codec}-{'le' if low >= high else 'be'}"
    if codec is not None:
        return codec
    if b"\x00" in data:
        zeros, even = data.count(0), data[0::2].count(0)
        wide = zeros * 3 > len(data)
        hint = f"; it looks like UTF-16: set `encoding: UTF-16{'BE' if even * 2 > zeros else 'LE'}`" if wide else ""
        raise SourceUnreadable(f"node '{node}': {name} is not a {what}: its text contains zero bytes{hint}")
    return "utf-8"


def _agrees(codec: str, marked: str) -> bool:
    return codec.replace("_", "-").startswith(marked.removesuffix("-sig"))


def text_of(node: str, head: Head, file: IO[bytes]) -> Iterator[str]:
    """The whole text of a file, piece by piece. Raises SourceUnreadable naming the first byte that is not text."""
    decode = decoder_of(head.encoding)
    at = 0
    try:
        stream = unpacked(file, head.packed)
        while True:
            data = stream.read(_PIECE)
            yield decode(data, final=not data)
            if not data:
                return
            at += len(data)
    except UnicodeError as error:
        raise refuse_undecodable(node, head.name, error, at) from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceUnreadable(f"node '{node}': {head.name} cannot be decompressed ({said}); send it again") from None


def pieces_of(node: str, head: Head, path: str) -> Iterator[bytes]:
    """All of a file, unpacked, in pieces: as it is where each byte below 128 is its own character, else as UTF-8."""
    if head.whole:
        yield head.text.encode(byte_encoding(head.encoding), "surrogatepass")
        return
    with storage_of_place(path).open(path) as file:
        if not is_bytewise(head.encoding):
            yield from (text.encode() for text in text_of(node, head, file))
            return
        with broken_packing(node, head.name):
            stream = unpacked(file, head.packed)
            while data := stream.read(_PIECE):
                yield data


def is_bytewise(encoding: str) -> bool:
    """Whether bytes below 128 are characters of their own, and no part of others."""
    name = encoding.replace("_", "-")
    return name.startswith(("utf-8", "iso8859-", "iso8859", "cp125")) or name in {"ascii", "koi8-r"}


def byte_encoding(encoding: str) -> str:
    """The encoding of `pieces_of`."""
    return encoding.removesuffix("-sig") if is_bytewise(encoding) else "utf-8"


@contextmanager
def broken_packing(node: str, name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceUnreadable(f"node '{node}': {name} cannot be decompressed ({said}); send it again") from None


def decoder_of(encoding: str) -> Any:
    """A strict decoder of pieces."""
    return codecs.getincrementaldecoder(encoding)().decode
