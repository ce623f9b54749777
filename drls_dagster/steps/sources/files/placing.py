"""What Spark is given to read: a pinned file where it lies, or a link to it or a copy in the run's staging folder.

Spark takes a path with `*`, `[` or `{` for a pattern, cannot bear a colon, and leaves out names that begin with `_` or
`.`: such a file gets a link of a plain name. What lies in a bucket is copied once, and so is text that Spark's readers
do not understand (UTF-16, .zst, pretty-printed JSON), as plain UTF-8.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from drls_dagster.steps.anchored import anchored
from drls_dagster.steps.sources.files.hive import NULL, Folders, folder_column
from drls_dagster.steps.sources.files.storage import Storage, in_parallel, reachable, storage_of_place
from drls_dagster.steps.sources.pins import Reader, SourceMissing, SourceUnreadable

if TYPE_CHECKING:
    from drls_dagster.steps.sources.files.heads import Head

_PLAIN = re.compile(r"(/[^/\x00-\x1f\x7f*?\[\]{}\\:]+)+")
_PIECE = 4 * 2**20
Convert = Callable[[IO[bytes], IO[bytes]], None]
Listing = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Item:
    """A pinned file on its way to Spark: its name for people, where its bytes are, what its name must end with."""

    name: str
    path: str
    ending: str
    packed: str = ""
    convert: Convert | None = None

    @property
    def as_it_is(self) -> bool:
        """Whether Spark reads this file, whole, under its own name."""
        folder, _, base = self.path.rpartition("/")
        if self.convert is not None or _PLAIN.fullmatch(self.path) is None or not _encodable(self.path):
            return False
        if base.startswith(("_", ".")) or base.endswith("._COPYING_") or not base.endswith(self.packed):
            return False
        return not os.path.exists(f"{folder}/.{base}.crc")  # Hadoop would check the file against it, old or not


@dataclass(frozen=True)
class Placed:
    """Where Spark finds each file, by its name for people, and the folder above the Hive folders."""

    paths: dict[str, str]
    base: str | None


def fetched(reader: Reader, node: str, storage: Storage, files: Listing) -> dict[str, str]:
    """Copies of remote files, made once per run: from then on nothing that happens to the bucket matters (D1)."""
    folder = f"{reader.folder}/fetched"

    def fetch(at: int) -> str:
        name, size, modified = files[at][:3]
        target = f"{folder}/{at:06d}"
        known = storage_of_place(target).look([target])[0]
        if known is not None and known.size == size:
            return target
        with reachable(f"node '{node}': {name}"):
            with storage.open(str(name)) as source:
                _write(target, lambda out: shutil.copyfileobj(source, out, _PIECE))
            (now,) = storage.look([str(name)])
        (copied,) = storage_of_place(target).look([target])
        if now is None or (now.size, now.modified) != (size, modified) or copied is None or copied.size != size:
            _remove(target)
            raise SourceMissing(f"node '{node}': {name} changed since the run pinned it; start a new run")
        return target

    _make_folder(folder)
    done = in_parallel(fetch, range(len(files)))
    return {str(name): path for (name, *_), path in zip(files, done, strict=True)}


def place(reader: Reader, node: str, items: Sequence[Item], folders: Folders) -> Placed:
    """Makes the links and copies that Spark needs."""
    bases = {_above(item.path, list(folders.values[item.name].values())) for item in items}
    # Two links to one file are two files to whoever made them; Spark would read it once.
    is_plain = len({item.path for item in items}) == len(items) and all(item.as_it_is for item in items)
    if len(bases) == 1 and "" not in bases and is_plain:
        return Placed({item.name: item.path for item in items}, bases.pop())
    root = f"{reader.folder}/read"
    if "://" not in root and _PLAIN.fullmatch(root) is None:
        raise SourceUnreadable(
            f"node '{node}': {items[0].name} needs a link with a plain name, but {root} has characters that "
            "Spark reads as a pattern; set engine.staging to another folder"
        )

    numbers = {name: number for number, name in enumerate(folders.values)}

    def put(item: Item) -> str:
        inside = folders.path_of(item.name)
        folder = f"{root}/{inside}" if inside else root
        target = f"{folder}/{numbers[item.name]:06d}{item.ending}{item.packed}"
        _make_folder(folder)
        if item.convert is not None:
            convert = item.convert
            if storage_of_place(target).look([target])[0] is None:
                with storage_of_place(item.path).open(item.path) as source:
                    _write(target, lambda out: convert(source, out))
        elif "://" in target or "://" in item.path:
            with storage_of_place(item.path).open(item.path) as source:
                _write(target, lambda out: shutil.copyfileobj(source, out, _PIECE))
        else:
            _link(item.path, target)
        return target

    done = in_parallel(put, items)
    return Placed({item.name: path for item, path in zip(items, done, strict=True)}, root if folders.kinds else None)


def as_utf8(node: str, head: Head) -> Convert:
    """Unpacks and decodes a file of text, strictly, and writes it as UTF-8 without a mark."""
    from drls_dagster.steps.sources.files.heads import text_of

    def convert(source: IO[bytes], out: IO[bytes]) -> None:
        for text in text_of(node, head, source):
            out.write(text.encode())

    return convert


def _above(path: str, values: Sequence[str | None]) -> str | None:
    """The folder above a path's Hive folders, empty where they have not just these values; None without values.

    A link has a name of its own, and so a file that it leads to may lie in a folder of another value.
    """
    if not values:
        return None
    parts = path.split("/")[:-1]
    hive = [(at, column[1]) for at, part in enumerate(parts) if (column := folder_column(part)) is not None]
    found = [None if value == NULL else value for _, value in hive]
    return "/".join(parts[: hive[0][0]]) if found == list(values) else ""


def _encodable(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _make_folder(folder: str) -> None:
    if "://" not in folder:
        with anchored(folder, make=True):
            pass


@contextmanager
def _beside(target: str) -> Iterator[str]:
    """The target by a name that no link on its way can lead elsewhere."""
    folder, name = os.path.split(target)
    with anchored(folder) as at:
        yield f"{at}/{name}"


def _link(path: str, target: str) -> None:
    if os.path.islink(target) and os.readlink(target) == path:
        return
    with _beside(target) as name:
        made = f"{name}.{uuid.uuid4().hex}"
        os.symlink(path, made)
        os.replace(made, name)


def _write(target: str, fill: Callable[[IO[bytes]], None]) -> None:
    """A file that is there whole or not at all."""
    if "://" in target:
        from drls_dagster.storage import filesystem_of

        filesystem, name = filesystem_of(target)
        with filesystem.open_output_stream(name, compression=None) as out:  # an object appears when it is closed
            fill(out)  # pyright: ignore[reportArgumentType]
        return
    with _beside(target) as name:
        part = Path(name).with_name(f".{uuid.uuid4().hex}.part")
        try:
            with part.open("xb") as out:
                fill(out)
            part.replace(name)
        finally:
            part.unlink(missing_ok=True)


def _remove(target: str) -> None:
    if "://" not in target:
        with _beside(target) as name:
            Path(name).unlink(missing_ok=True)
