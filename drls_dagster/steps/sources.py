"""Sources: pinned once per run, then read as pinned (D1)."""

from __future__ import annotations

import glob
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.columns import spark_ddl_of_spec
from drls_dagster.lakehouse.naming import table_location
from drls_dagster.lakehouse.separate import find, load_if_exists
from drls_dagster.steps.csv_files import read_csv
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource, IcebergSource, RateSource, SourceNode

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

Pin = dict[str, Any]
RATE_SECONDS = 60


class SourceMissing(DrlsError):
    """What a source names is not there, or is not what it was when the run pinned it."""


def pin_source(node: SourceNode, environment: str, catalog: Catalog, landing: str) -> Pin:
    """What the node stands for in this run, as JSON: a snapshot, or a listing with sizes and times."""
    source = node.source
    if isinstance(source, IcebergSource):
        return _pin_iceberg(node.id, source, environment, catalog)
    if isinstance(source, FilesSource):
        return {"files": _listing(node.id, source.path, landing)}
    if isinstance(source, RateSource):
        return {"second": int(time.time())}
    raise DrlsError(f"node '{node.id}': this release does not read sources of kind {source.kind}")


def source_table(catalog: Catalog, environment: str, name: str) -> tuple[Table, str] | None:
    """The table that a read in `environment` takes, and the ref: the environment's own, else the real `main`."""
    own, table = find(catalog, environment, name)
    if table is not None and refs.read_head(table, own.ref) is not None:
        return table, own.ref if refs.head(table, own.ref) is not None else "main"
    real = table_location("production", name)
    found = load_if_exists(catalog, real.identifier)
    if found is not None:
        return found, "main"
    return (table, own.ref) if table is not None else None


def _pin_iceberg(node: str, source: IcebergSource, environment: str, catalog: Catalog) -> Pin:
    found = source_table(catalog, environment, source.table)
    if found is None:
        where = Environment(environment).label
        raise SourceMissing(
            f"node '{node}': there is no table {source.table} in {where}; run the pipeline that writes it first"
        )
    table, ref = found
    snapshot = refs.head(table, ref)
    if source.snapshot is not None:
        if table.snapshot_by_id(source.snapshot) is None:
            raise SourceMissing(f"node '{node}': {'.'.join(table.name())} has no snapshot {source.snapshot}")
        snapshot = source.snapshot
    elif source.timestamp is not None:
        at = table.snapshot_as_of_timestamp(int(source.timestamp.timestamp() * 1000))
        if at is None:
            raise SourceMissing(
                f"node '{node}': {'.'.join(table.name())} had no snapshot yet at {source.timestamp.isoformat()}"
            )
        snapshot = at.snapshot_id
    return {
        "table": ".".join(table.name()),
        "uuid": str(table.metadata.table_uuid),
        "ref": ref,
        "snapshot": snapshot,
    }


def _listing(node: str, path: str, landing: str) -> list[list[Any]]:
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


def read_source(spark: SparkSession, node: SourceNode, pin: Pin, start: int | None, end: int | None) -> DataFrame:
    """The rows of a pinned source; an incremental one from behind `start`, up to `end`."""
    source = node.source
    if isinstance(source, FilesSource):
        return _read_files(spark, node.id, source, pin["files"])
    if isinstance(source, RateSource):
        return _read_rate(spark, source, pin["second"])
    name = ".".join(f"`{part}`" for part in (pin["catalog"], *pin["table"].split(".")))
    if end is None or (start is not None and start == end):
        return spark.sql(f"SELECT * FROM {name} WHERE false")
    if start is None:
        return spark.sql(f"SELECT * FROM {name} VERSION AS OF {end}")
    return (
        spark.read.format("iceberg")
        .option("start-snapshot-id", str(start))
        .option("end-snapshot-id", str(end))
        .load(name)
    )


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


def _read_files(spark: SparkSession, node: str, source: FilesSource, files: list[list[Any]]) -> DataFrame:
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


def _read_rate(spark: SparkSession, source: RateSource, second: int) -> DataFrame:
    """One minute of Spark's rate source: the rows of the 60 seconds before the pin."""
    from pyspark.sql.connect.functions import builtin as f

    first = (second - RATE_SECONDS) * source.rows_per_second
    rows = spark.range(first, second * source.rows_per_second)
    at = f.timestamp_micros((f.col("id") * 1_000_000 / source.rows_per_second).cast("bigint"))
    return rows.select(at.alias("timestamp"), f.col("id").alias("value"))


def describe_pin(pin: Pin) -> str:
    """For people: `sales.orders@123` or `12 files, 3.4 MB`."""
    if "table" in pin:
        return f"{pin['table']}@{pin['snapshot']}"
    if "files" in pin:
        return f"{len(pin['files'])} file(s), {sum(size for _, size, _ in pin['files']):,} bytes"
    return datetime.fromtimestamp(pin["second"], UTC).isoformat()
