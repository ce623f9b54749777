"""File sources: the contract of every format, here and in buckets.

The files pinned are the files read, once each, whatever their names. Each file's beginning is looked at (of Parquet the
footer), never all of it; then columns go by name, or the file is refused by name. What cannot be read fails, unless the
spec asks for something else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drls_dagster.steps.sources.csv_files import read_csv
from drls_dagster.steps.sources.framing import Contents
from drls_dagster.steps.sources.hive import folders_of
from drls_dagster.steps.sources.json_files import read_json
from drls_dagster.steps.sources.listing import listed
from drls_dagster.steps.sources.parquet_files import read_parquet
from drls_dagster.steps.sources.pins import Pin, Place, Reader, SourceMissing, SourceUnreadable
from drls_dagster.steps.sources.placing import fetched
from drls_dagster.steps.sources.storage import Local, reachable, storage_of
from lifecycle.spec import FilesSource, SourceNode

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FORMATS: dict[str, Callable[[Reader, str, FilesSource, Contents], DataFrame]] = {
    "csv": read_csv,
    "json": read_json,
    "parquet": read_parquet,
}
# Options of Spark's that read other files than those that were pinned, or fewer.
_OTHER_FILES = {
    "path": "write it as the source's path",
    "paths": "write it as the source's path",
    "pathglobfilter": "write the pattern into the source's path",
    "recursivefilelookup": "write `**` into the source's path",
    "modifiedbefore": "name the files by the source's path",
    "modifiedafter": "name the files by the source's path",
    "ignorecorruptfiles": "remove or replace the file that cannot be read",
    "ignoremissingfiles": "leave it out: a pinned file that is gone fails the run",
}


def pin_files(node: str, source: FilesSource, place: Place) -> Pin:
    """[path, bytes, modified in nanoseconds] of each file, sorted."""
    storage, path, _ = storage_of(source.path, place.landing, place.settings)
    with reachable(f"node '{node}': {path}"):
        files = listed(storage, path)
    if not files:
        raise SourceMissing(f"node '{node}': no file matches {path}; put it there, or correct the path")
    return {"files": [[entry.name, entry.size, entry.modified] for entry in files]}


def read_files(reader: Reader, node: SourceNode, source: FilesSource, pin: Pin) -> DataFrame:
    """The rows of the pinned files."""
    files: list[list[Any]] = pin["files"]
    options = {name.lower(): value for name, value in source.options.items()}
    for name, remedy in _OTHER_FILES.items():
        if name in options and options[name].lower() != "false":
            raise SourceUnreadable(f"node '{node.id}': the option `{name}` would change which files are read; {remedy}")
    storage, _, root = storage_of(source.path, reader.place.landing, reader.place.settings)
    base = _base(options.get("basepath"), root)
    names = [name for name, _, _ in files]
    folders = folders_of(node.id, names, base, source.schema_ or {})
    if isinstance(storage, Local):
        refuse_changed(node, pin)
        paths = [(name, name) for name in names]
    else:
        paths = list(fetched(reader, node.id, storage, files).items())
    with reachable(f"node '{node.id}': {names[0]} or another file of the source"):
        return FORMATS[source.format](reader, node.id, source, Contents(node.id, paths, folders))


def refuse_changed(node: SourceNode, pin: Pin) -> None:
    """Raises SourceMissing naming a pinned file of this machine that is not what it was (D1).

    Of what lies in a bucket a copy is read, which was made when it was still what had been pinned.
    """
    for name, size, modified in pin["files"]:
        if "://" in name:
            continue
        try:
            stat = os.stat(name)
        except FileNotFoundError:
            raise SourceMissing(f"node '{node.id}': {name} was removed while the run needed it") from None
        if (stat.st_size, stat.st_mtime_ns) != (size, modified):
            raise SourceMissing(f"node '{node.id}': {name} changed since the run pinned it; start a new run")


def _base(given: str | None, root: str) -> str:
    """The folder below which folders give columns: the option `basePath`, else the landing folder."""
    if given is None:
        return root
    whole = given if given.startswith("/") or "://" in given else f"{root.rstrip('/')}/{given}"
    return whole.removeprefix("file://").rstrip("/")
