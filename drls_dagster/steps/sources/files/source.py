"""File sources: the contract of every format, here and in buckets.

The files pinned are the files read, once each, whatever their names. Each file's beginning is looked at (of Parquet the
footer), never all of it; then columns go by name, or the file is refused by name. What cannot be read fails, unless the
spec asks for something else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.positions import Read
from drls_dagster.steps.sources.files.csv_files import read_csv
from drls_dagster.steps.sources.files.explaining import explained
from drls_dagster.steps.sources.files.framing import Contents
from drls_dagster.steps.sources.files.hive import folders_of
from drls_dagster.steps.sources.files.json_files import read_json
from drls_dagster.steps.sources.files.listing import listed
from drls_dagster.steps.sources.files.parquet_files import read_parquet
from drls_dagster.steps.sources.files.placing import fetched
from drls_dagster.steps.sources.files.storage import Local, reachable, storage_of
from drls_dagster.steps.sources.kind import SourceKind
from drls_dagster.steps.sources.pins import Pin, Place, Reader, SourceMissing, SourceUnreadable
from lifecycle.domain.run import InputRead
from lifecycle.spec import FilesSource

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
    "modifiedbefore": "select the files with the source's path",
    "modifiedafter": "select the files with the source's path",
    "ignorecorruptfiles": "remove or replace the file that cannot be read",
    "ignoremissingfiles": "remove it: the run fails if a pinned file is gone",
}


class PinnedFile(NamedTuple):
    """A file as it was listed; `modified` in nanoseconds since 1970."""

    name: str
    size: int
    modified: int


@dataclass(frozen=True)
class FilesPin(Pin):
    """The files that a path meant, sorted by name."""

    files: tuple[PinnedFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def stored(self) -> dict[str, Any]:
        return {"files": [list(file) for file in self.files]}

    def __str__(self) -> str:
        return f"{len(self.files)} file(s), {self.bytes:,} bytes"


class Files(SourceKind[FilesSource, FilesPin]):
    """Files of every format, on this machine and in buckets."""

    def pin(self, node: str, source: FilesSource, place: Place) -> FilesPin:
        storage, path, _ = storage_of(source.path, place.landing, place.settings)
        with reachable(f"node '{node}': {path}"):
            files = listed(storage, path)
        if not files:
            raise SourceMissing(f"node '{node}': no file matches {path}; add it, or correct the path")
        return FilesPin(tuple(PinnedFile(entry.name, entry.size, entry.modified) for entry in files))

    def pinned(self, stored: Mapping[str, Any]) -> FilesPin:
        return FilesPin(tuple(PinnedFile(*file) for file in stored["files"]))

    def read(self, reader: Reader, node: str, source: FilesSource, pin: FilesPin, between: Read) -> DataFrame:
        from pyspark.errors import PySparkException

        try:
            return self._frame(reader, node, source, pin)
        except PySparkException as error:  # where columns are looked for, Spark reads
            self.refuse_changed(node, pin)
            told = self.explain(error, node, source, pin, reader.folder)
            if told is None:
                raise
            raise told from None

    def _frame(self, reader: Reader, node: str, source: FilesSource, pin: FilesPin) -> DataFrame:
        options = {name.lower(): value for name, value in source.options.items()}
        for name, remedy in _OTHER_FILES.items():
            if name in options and options[name].lower() != "false":
                raise SourceUnreadable(
                    f"node '{node}': the option `{name}` would change which files are read; {remedy}"
                )
        storage, _, root = storage_of(source.path, reader.place.landing, reader.place.settings)
        base = _base(options.get("basepath"), root)
        names = [file.name for file in pin.files]
        folders = folders_of(node, names, base, source.schema_ or {})
        if isinstance(storage, Local):
            self.refuse_changed(node, pin)
            paths = [(name, name) for name in names]
        else:
            paths = list(fetched(reader, node, storage, pin.files).items())
        with reachable(f"node '{node}': {names[0]} or another file of the source"):
            return FORMATS[source.format](reader, node, source, Contents(node, paths, folders))

    def refuse_changed(self, node: str, pin: FilesPin) -> None:
        """Raises SourceMissing naming a pinned file of this machine that is not what it was (D1).

        Of what lies in a bucket a copy is read, which was made when it was still what had been pinned.
        """
        for name, size, modified in pin.files:
            if "://" in name:
                continue
            try:
                stat = os.stat(name)
            except FileNotFoundError:
                raise SourceMissing(f"node '{node}': {name} was removed while the run needed it") from None
            if (stat.st_size, stat.st_mtime_ns) != (size, modified):
                raise SourceMissing(f"node '{node}': {name} changed since the run pinned it; start a new run")

    def explain(
        self, error: BaseException, node: str, source: FilesSource, pin: FilesPin, folder: str
    ) -> DrlsError | None:
        return explained(error, node, source, [file.name for file in pin.files], folder)

    def receipt(
        self, node: str, source: FilesSource, pin: FilesPin, end: int | None, fingerprint: Callable[[], str | None]
    ) -> InputRead:
        return InputRead(node=node, name=node, fingerprint=fingerprint(), files=len(pin.files), bytes=pin.bytes)

    def ui_kinds(self, source: FilesSource) -> set[str]:
        return {source.format}


def _base(given: str | None, root: str) -> str:
    """The folder below which folders give columns: the option `basePath`, else the landing folder."""
    if given is None:
        return root
    whole = given if given.startswith("/") or "://" in given else f"{root.rstrip('/')}/{given}"
    return whole.removeprefix("file://").rstrip("/")
