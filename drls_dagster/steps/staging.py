"""Storage that Spark and Ray share: what passes between them lies here, a folder per run."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pyarrow.fs as pafs

from drls_dagster.steps.anchored import removed
from drls_dagster.storage import filesystem_of

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from drls_dagster.settings import Settings

KEEP_DAYS = 7
PART_BYTES = 8 * 2**20
# What lies here is read once and whole, a moment later, on the same storage: it is written for speed. Delta encodings
# (the second version of the format) without dictionaries or compression take Spark two thirds of the default's time;
# statistics, which would let a reader skip pages, checksums and small pages cost it another tenth. Strings that repeat
# are quicker with a dictionary; the others are found by its small size, before it has cost much.
_PARQUET = {
    "compression": "none",
    "parquet.enable.dictionary": "false",
    "parquet.writer.version": "v2",
    "parquet.column.statistics.enabled": "false",
    "parquet.size.statistics.enabled": "false",
    "parquet.page.write-checksum.enabled": "false",
    "parquet.page.row.count.limit": "200000",
    "parquet.page.size": str(8 * 1024 * 1024),
    "parquet.dictionary.page.size": str(64 * 1024),
}


def parquet_options(schema: StructType) -> dict[str, str]:
    """How Spark writes rows of that schema here."""
    strings = (field.name for field in schema if field.dataType.typeName() == "string")
    return {**_PARQUET, **{f"parquet.enable.dictionary#{name}": "true" for name in strings}}


def staging_folder(settings: Settings, run_key: str, key: str) -> str:
    """A URI, or an absolute path without links, for one recipe of one run."""
    staging = settings.staging.rstrip("/").removeprefix("file://")
    return f"{staging if '://' in staging else os.path.realpath(staging)}/{run_key}/{key}"


def staged_parts(folder: str, concurrency: int) -> list[list[str]]:
    """The Parquet files of a folder, a list per task, so that `concurrency` tasks have about the same.

    Beyond that small files share a task, which costs more than they do.
    """
    filesystem, name = filesystem_of(folder)
    found = [info for info in filesystem.get_file_info(pafs.FileSelector(name)) if info.extension == "parquet"]
    most = min(PART_BYTES, -(-sum(info.size for info in found) // concurrency))
    parts: list[list[str]] = []
    room = 0
    for info in sorted(found, key=lambda each: each.base_name):
        if info.size > room:
            parts.append([])
            room = most
        parts[-1].append(f"{folder}/{info.base_name}")
        room -= info.size
    return parts


def parquet_files(folder: str) -> list[str]:
    """The names of the Parquet files of a folder, sorted."""
    filesystem, name = filesystem_of(folder)
    found = filesystem.get_file_info(pafs.FileSelector(name))
    return sorted(info.base_name for info in found if info.extension == "parquet")


def still_there(files: list[str]) -> bool:
    """Whether each of the files exists, as far as it can be reached from here: another home made some of them."""
    try:
        places = [filesystem_of(file) for file in files]
        return all(filesystem.get_file_info(name).type == pafs.FileType.File for filesystem, name in places)
    except OSError:
        return False


def forget(where: str) -> None:
    """Remove a folder; without effect when it is not there."""
    filesystem, folder = filesystem_of(where)
    if isinstance(filesystem, pafs.LocalFileSystem):
        removed(folder)
    elif filesystem.get_file_info(folder).type == pafs.FileType.Directory:
        filesystem.delete_dir(folder)


def clear_old_runs(settings: Settings) -> None:
    """Remove what runs left more than KEEP_DAYS ago: until then a re-execution may want it."""
    filesystem, root = filesystem_of(settings.staging.rstrip("/"))
    oldest = time.time() - KEEP_DAYS * 86_400
    for info in filesystem.get_file_info(pafs.FileSelector(root, allow_not_found=True)):
        if info.type == pafs.FileType.Directory and info.mtime is not None and info.mtime.timestamp() < oldest:
            filesystem.delete_dir(info.path)
