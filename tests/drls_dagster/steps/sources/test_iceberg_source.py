"""A table that Spark cannot open is refused before Spark is asked, by table, column and remedy (finding 24, F10)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.iceberg import IcebergTables
from drls_dagster.steps.sources.pins import Place, SourceUnreadable
from lifecycle.spec import IcebergSource

pytestmark = pytest.mark.tables


def test_a_table_with_a_time_of_day_is_refused_by_table_and_column(tmp_path: Path) -> None:
    """Failed on 0.1.0: "Spark does not support time fields", without the table or column."""
    settings = Settings(home=tmp_path / "home")
    catalog = load_catalog(settings)
    catalog.create_namespace("ns__development")
    source = IcebergSource(table="ns.t")
    place = Place(settings, "development", catalog)
    for name, column in {
        "t": pa.array([1], pa.time64("us")),
        "s": pa.array([{"t": 1}], pa.struct({"t": pa.time64("us")})),
    }.items():
        data = pa.table({"id": [1], name: column})
        table = catalog.create_table(("ns__development", "t"), data.schema)
        table.append(data)
        with pytest.raises(
            SourceUnreadable, match=rf"column '{name}.*' of ns__development\.t is time, .*drop the column"
        ):
            IcebergTables().pin("raw", source, place)
        catalog.drop_table(("ns__development", "t"))
    plain = catalog.create_table(("ns__development", "t"), pa.schema({"id": pa.int64()}))
    assert IcebergTables().pin("raw", source, place).uuid == str(plain.metadata.table_uuid)
