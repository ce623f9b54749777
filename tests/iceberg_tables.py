"""Real Iceberg tables in the catalog of this test's DRLS_HOME."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.table import Table

from drls_dagster.lakehouse.catalog import load_catalog


def make_table(name: str | tuple[str, ...], *batches: pa.Table | Mapping[str, Sequence[Any]], **options: Any) -> Table:
    """A table with a snapshot, of one data file, for each of `batches`; `options` are those of create_table."""
    catalog = load_catalog()
    data = [one if isinstance(one, pa.Table) else pa.table(dict(one)) for one in batches]
    parts = tuple(name.split(".")) if isinstance(name, str) else name
    catalog.create_namespace_if_not_exists(parts[:-1])
    table = catalog.create_table(parts, **{"schema": data[0].schema, **options})
    for one in data:
        if one.num_rows:
            table.append(one)
    return catalog.load_table(parts)


def make_many_tables(namespace: str, count: int) -> None:
    """So many names for one table: what lists them reads each one's metadata."""
    from pyiceberg.catalog.sql import IcebergTables
    from sqlalchemy.orm import Session

    table = make_table(f"{namespace}.t0000", {"x": [1]})
    catalog = load_catalog()
    with Session(catalog.engine) as session:
        for number in range(1, count):
            session.add(
                IcebergTables(
                    catalog_name=catalog.name, table_namespace=namespace, table_name=f"t{number:04}",
                    metadata_location=table.metadata_location, previous_metadata_location=None,
                )
            )  # fmt: skip
        session.commit()


def make_many_snapshots(name: str, count: int) -> None:
    """A table with so many snapshots, all of the same file."""
    table = make_table(name, {"x": [1]})
    file = Path(table.metadata_location.removeprefix("file://"))
    metadata = json.loads(file.read_text())
    (first,) = metadata["snapshots"]
    ids = range(first["snapshot-id"], first["snapshot-id"] + count)
    metadata["snapshots"] = [
        {**first, "snapshot-id": one, "timestamp-ms": first["timestamp-ms"] + at} for at, one in enumerate(ids)
    ]
    file.write_text(json.dumps(metadata))
