"""File sources: the contract of every format, here and in buckets.

The files pinned are the files read, once each, whatever their names. Each file's beginning is looked at (of Parquet the
footer), never all of it; then columns go by name, or the file is refused by name. What cannot be read fails, unless the
spec asks for something else.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.positions import At, Read
from drls_dagster.logs import note
from drls_dagster.steps.sources.files.csv_files import read_csv
from drls_dagster.steps.sources.files.explaining import explained
from drls_dagster.steps.sources.files.framing import Contents
from drls_dagster.steps.sources.files.hive import folders_of
from drls_dagster.steps.sources.files.json_files import read_json
from drls_dagster.steps.sources.files.listing import DeltaTable, LeadsOutside, listed
from drls_dagster.steps.sources.files.parquet_files import read_parquet
from drls_dagster.steps.sources.files.placing import fetched
from drls_dagster.steps.sources.files.roots import Named, OutsideRoots, Roots
from drls_dagster.steps.sources.files.storage import Entry, Storage, reachable, said, storage_of
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
    "badrecordspath": "set `mode: PERMISSIVE` and a column `_corrupt_record` in the schema",
}


class PinnedFile(NamedTuple):
    """A file as it was listed; `modified` in nanoseconds since 1970.

    `name` is for people: relative to landing where the source's path is. `place` is where a file of this machine lies,
    with all links resolved; empty in pins of earlier releases, whose names are whole paths.
    """

    name: str
    size: int
    modified: int
    place: str = ""

    @property
    def where(self) -> str:
        return self.place or self.name


@dataclass(frozen=True)
class FilesPin(Pin):
    """The files that a path meant, sorted by name."""

    files: tuple[PinnedFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def stored(self) -> dict[str, Any]:
        return {"files": [list(file if file.place else file[:3]) for file in self.files]}

    def __str__(self) -> str:
        return f"{len(self.files)} file(s), {self.bytes:,} bytes"


class Files(SourceKind[FilesSource, FilesPin]):
    """Files of every format, on this machine and in buckets."""

    def pin(self, node: str, source: FilesSource, place: Place) -> FilesPin:
        roots = Roots.of(place.settings, place.environment)
        try:
            named = roots.named(node, source.path)
            files = self._listed(node, source, named, storage_of(named, roots, place.settings), roots)
        except OutsideRoots as refused:
            if refused.leads:
                note(place.settings, refused.leads)
            raise
        if not files:
            where = " in landing" if named.base else ""
            raise SourceMissing(f"node '{node}': no file{where} matches {source.path}; add it, or correct the path")
        return FilesPin(tuple(PinnedFile(named.shown(one.name), one.size, one.modified, one.place) for one in files))

    def _listed(self, node: str, source: FilesSource, named: Named, storage: Storage, roots: Roots) -> list[Entry]:
        try:
            with reachable(f"node '{node}': {source.path}"):
                return listed(storage, named.path)
        except LeadsOutside as link:
            raise roots.refusal(node, named.shown(link.entry.name), link.entry.place, link=True) from None
        except DeltaTable as table:
            raise SourceUnreadable(f"node '{node}': {DeltaTable(named.shown(table.folder))}") from None
        except SourceUnreadable as error:
            shown = (
                str(error).replace(f"{named.base.rstrip('/')}/", "")
                if named.base and not named.is_remote
                else str(error)
            )
            raise SourceUnreadable(f"node '{node}': {shown}") from None

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
        _refuse_options(node, options)
        roots = Roots.of(reader.place.settings, reader.place.environment)
        named = roots.named(node, source.path)
        for file in pin.files:
            # The settings may have changed since a run pinned them that this one resumes.
            if not roots.admits(file.where if file.place or named.is_remote else os.path.realpath(file.name)):
                raise roots.refusal(node, named.shown(file.name), file.where)
        names = [file.name for file in pin.files]
        folders = folders_of(node, names, _base(options.get("basepath"), named), source.schema_ or {})
        if named.is_remote:
            storage = storage_of(named, roots, reader.place.settings)
            paths = list(fetched(reader, node, storage, pin.files).items())
        else:
            self.refuse_changed(node, pin)
            paths = [(file.name, os.path.realpath(file.where)) for file in pin.files]
        with reachable(f"node '{node}': {names[0]} or another file of the source"):
            return FORMATS[source.format](reader, node, source, Contents(node, paths, folders))

    def refuse_changed(self, node: str, pin: FilesPin) -> None:
        """Raises SourceMissing naming a pinned file of this machine that is not what it was (D1), or became a link.

        Of what lies in a bucket a copy is read, which was made when it was still what had been pinned.
        """
        folders: dict[str, bool] = {}
        for file in pin.files:
            if "://" in file.where:
                continue
            try:
                found = os.lstat(file.place) if file.place else os.stat(file.name)
            except (FileNotFoundError, NotADirectoryError):
                raise SourceMissing(f"node '{node}': {file.name} was removed while the run needed it") from None
            except OSError as error:
                if error.errno != errno.ELOOP:  # a folder that has become a link to itself
                    raise SourceMissing(f"node '{node}': {file.name} cannot be read: {said(error)}") from None
                raise SourceMissing(_changed(node, file.name)) from None
            folder = os.path.dirname(file.place)
            if folder not in folders:
                folders[folder] = not folder or os.path.realpath(folder) == folder
            same = S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (file.size, file.modified)
            if not same or not folders[folder]:
                raise SourceMissing(_changed(node, file.name))

    def explain(
        self, error: BaseException, node: str, source: FilesSource, pin: FilesPin, folder: str
    ) -> DrlsError | None:
        return explained(error, node, source, [(file.name, file.where) for file in pin.files], folder)

    def receipt(
        self, node: str, source: FilesSource, pin: FilesPin, end: At | None, fingerprint: Callable[[], str | None]
    ) -> InputRead:
        return InputRead(node=node, name=node, fingerprint=fingerprint(), files=len(pin.files), bytes=pin.bytes)

    def ui_kinds(self, source: FilesSource) -> set[str]:
        return {source.format}


def _changed(node: str, name: str) -> str:
    return f"node '{node}': {name} changed since the run pinned it; start a new run"


def _refuse_options(node: str, options: Mapping[str, str]) -> None:
    """Raises SourceUnreadable for options, names in lower case, by which Spark would read or write other files."""
    for name, remedy in _OTHER_FILES.items():
        if name in options and options[name].lower() != "false":
            raise SourceUnreadable(f"node '{node}': the option `{name}` would change which files are read; {remedy}")
    for name in options:
        if "." in name:  # Spark hands every option to Hadoop
            raise SourceUnreadable(
                f"node '{node}': the option `{name}` is a setting of Hadoop's, which could read other files; remove "
                "it, or set it for all pipelines with engine.spark_conf"
            )


def _base(given: str | None, named: Named) -> str:
    """The folder below which folders give columns: the option `basePath`, else landing. As the files' names are."""
    root = named.base if named.is_remote else ""
    if given is None:
        return root
    if "://" in given or given.startswith("/"):
        return named.shown(re.sub(r"^file:/+", "/", given).rstrip("/"))
    return f"{root.rstrip('/')}/{given}" if root else given.strip("/")
