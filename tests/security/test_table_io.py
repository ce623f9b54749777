"""What a table says of itself does not decide how the platform opens its files: Spark can write any property."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.catalog import load_catalog

PROPERTIES = {
    "py-io-impl": "evil.FileIO",
    "io-impl": "evil.FileIO",
    "s3.endpoint": "http://evil.example",
    "s3.proxy-uri": "http://evil.example",
    "gcs.service.host": "http://evil.example",
    "adls.connection-string": "evil",
    "hdfs.host": "evil.example",
    "client.region": "evil",
}


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that notes that somebody imported it."""
    note = tmp_path / "imported"
    (tmp_path / "evil.py").write_text(
        f"open({str(note)!r}, 'w').close()\nfrom pyiceberg.io.pyarrow import PyArrowFileIO as FileIO\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return note


def test_a_table_names_neither_a_class_nor_a_server(drls_home: Path, evil: Path) -> None:
    catalog = load_catalog()
    catalog.create_namespace("flights")
    made = catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())]))
    with made.transaction() as change:
        change.set_properties({**PROPERTIES, "write.parquet.compression-codec": "zstd"})
    made.append(pa.table({"x": [1, 2]}))
    found = catalog.load_table("flights.daily")
    assert found.properties["s3.endpoint"] == "http://evil.example"
    for table in (made, found):
        assert [name for name in PROPERTIES if name in table.io.properties] == []
    assert found.scan().to_arrow().num_rows == 2
    assert found.io.properties["write.parquet.compression-codec"] == "zstd"
    assert not evil.exists()
