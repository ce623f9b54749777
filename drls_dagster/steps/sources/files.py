"""File sources: pinned as a listing with sizes and times (D1), then read as pinned."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.columns import spark_ddl_of_spec
from drls_dagster.steps.sources.csv_files import read_csv
from drls_dagster.steps.sources.pins import SourceMissing
from lifecycle.spec import FilesSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession


def listing(node: str, path: str, landing: str) -> list[list[Any]]:
    """[path, bytes, modified in nanoseconds] of each file, sorted. A URI is listed through PyArrow."""
    if "://" in path or "://" in landing:
        return _remote_listing(node, path if "://" in path else f"{landing.rstrip('/')}/{path}")
    pattern = path if os.path.isabs(path) else os.path.join(landing, path)
    names = sorted(glob.glob(pattern, recursive=True))
    if len(names) == 1 and os.path.isdir(names[0]):
        names = sorted(entry.path for entry in os.scandir(names[0]))
    files = [name for name in names if os.path.isfile(name) and not os.path.basename(name).startswith(("_", "."))]
    if not files:
        raise SourceMissing(f"node '{node}': no file matches {pattern}; put it there, or correct the path")
    return [[name, stat.st_size, stat.st_mtime_ns] for name in files for stat in (os.stat(name),)]


def _remote_listing(node: str, uri: str) -> list[list[Any]]:
    import fnmatch

    import pyarrow.fs as pafs

    filesystem, name = pafs.FileSystem.from_uri(uri)
    fixed = name.split("*")[0].rpartition("/")[0] if "*" in name else name
    scheme = uri.split("://", maxsplit=1)[0]
    found = filesystem.get_file_info(pafs.FileSelector(fixed, recursive=True, allow_not_found=True))
    if not found:
        found = [filesystem.get_file_info(name)]
    files = [
        [f"{scheme}://{info.path}", info.size, info.mtime_ns or 0]
        for info in sorted(found, key=lambda info: info.path)
        if info.type == pafs.FileType.File
        and not info.base_name.startswith(("_", "."))
        and ("*" not in name or fnmatch.fnmatch(info.path, name))
    ]
    if not files:
        raise SourceMissing(f"node '{node}': no file matches {uri}; put it there, or correct the path")
    return files


def refuse_changed(node: str, files: list[list[Any]]) -> None:
    """Raises SourceMissing naming a pinned file that is not what it was (D1)."""
    remote = [name for name, _, _ in files if "://" in name]
    found = _remote_stats(remote) if remote else {}
    for name, size, modified in files:
        if "://" in name:
            now = found[name]
        else:
            try:
                stat = os.stat(name)
            except FileNotFoundError:
                now = None
            else:
                now = (stat.st_size, stat.st_mtime_ns)
        if now is None:
            raise SourceMissing(f"node '{node}': {name} was removed while the run needed it")
        if now != (size, modified):
            raise SourceMissing(f"node '{node}': {name} changed since the run pinned it; start a new run")


def _remote_stats(names: list[str]) -> dict[str, tuple[int, int] | None]:
    import pyarrow.fs as pafs

    filesystem, _ = pafs.FileSystem.from_uri(names[0])
    infos = filesystem.get_file_info([name.split("://", 1)[1] for name in names])
    return {
        name: (info.size, info.mtime_ns or 0) if info.type == pafs.FileType.File else None
        for name, info in zip(names, infos, strict=True)
    }


def read_files(spark: SparkSession, node: str, source: FilesSource, files: list[list[Any]]) -> DataFrame:
    refuse_changed(node, files)
    paths = [name for name, _, _ in files]
    if source.format == "csv":
        return read_csv(spark, node, source, paths)
    reader = spark.read.format(source.format).options(**source.options)
    if source.schema_:
        return reader.schema(spark_ddl_of_spec(source.schema_)).load(paths)
    if source.format == "parquet":
        return reader.load(paths)
    # Inferred once: otherwise Spark reads the files for it again at each analysis of the frame.
    return reader.schema(reader.load(paths).schema).load(paths)
