"""TPC-H's lineitem as one Iceberg table in many small files, and more tables of the very same files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile

NAMESPACE = "compaction"


def make_files(scratch: Path, scale: float, files: int) -> list[Path]:
    """`files` Parquet files of lineitem, one row group each."""
    command = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run(
        [command, "parquet", "-s", str(scale), "--tables=lineitem", f"--parts={files}", f"--output-dir={scratch}"],
        check=True,
        capture_output=True,
    )
    return sorted((scratch / "lineitem").glob("*.parquet"))


def make_table(catalog: Catalog, name: str, files: list[Path]) -> list[DataFile]:
    """The table, with the rows of the files in files of its own: with field ids, in Iceberg's default codec."""
    from pyiceberg.io.pyarrow import parquet_file_to_data_file, schema_to_pyarrow

    catalog.create_namespace_if_not_exists(NAMESPACE)
    first = pq.read_schema(files[0])
    wanted = pa.schema([pa.field(one.name, _plain(one.type)) for one in first])
    table = catalog.create_table((NAMESPACE, name), wanted)
    arrow = schema_to_pyarrow(table.schema())
    root = Path(table.location().removeprefix("file:")).as_posix().replace("//", "/") + "/data"
    Path(root).mkdir(parents=True, exist_ok=True)
    made: list[DataFile] = []
    for number, file in enumerate(files):
        path = f"{root}/{number:05d}.parquet"
        rows = pq.read_table(file).cast(arrow)
        pq.write_table(rows, path, compression="zstd", store_decimal_as_integer=True)
        made.append(parquet_file_to_data_file(table.io, table.metadata, f"file://{path}"))
        file.unlink()
    append(catalog, name, made)
    return made


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_string(kind) or pa.types.is_string_view(kind) else kind


def append(catalog: Catalog, name: str, files: list[DataFile]) -> None:
    table = catalog.load_table((NAMESPACE, name))
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as appended:
        for one in files:
            appended.append_data_file(one)


def same_files(catalog: Catalog, name: str, like: str, files: list[DataFile]) -> None:
    """Another table of the same files, as large as the first: compaction only adds files."""
    table = catalog.load_table((NAMESPACE, like))
    catalog.create_table((NAMESPACE, name), table.schema())
    append(catalog, name, files)
