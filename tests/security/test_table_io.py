"""What a table says of itself does not decide how the platform opens its files: Spark can write any property.

Nor does where it says that its metadata is give a file away: code in the engine can write a catalog that is a file.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception

import pyarrow as pa
import pytest
import sqlalchemy as sa
from pyiceberg.catalog.sql import SqlCatalog

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.run_tables import RunTables
from drls_dagster.runs.table_policy import TablePolicy
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment

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
        assert [name for name, value in PROPERTIES.items() if table.io.properties.get(name) == value] == []
    assert found.scan().to_arrow().num_rows == 2
    assert found.io.properties["write.parquet.compression-codec"] == "zstd"
    assert not evil.exists()


def test_a_commit_deletes_no_file_that_a_table_only_calls_its_metadata(drls_home: Path) -> None:
    """A table's metadata, which Spark and code in the engine write, lists the files that go when they are too old."""
    catalog = load_catalog()
    catalog.create_namespace("flights")
    settings = {"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "1"}
    made = catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())]), properties=settings)
    made.append(pa.table({"x": [1]}))
    key, first = (
        drls_home / "signing-key.pem",
        Path(made.metadata.metadata_log[0].metadata_file.removeprefix("file://")),
    )
    key.write_text("key")
    now = Path(made.metadata_location.removeprefix("file://"))
    said = json.loads(now.read_text())
    said["metadata-log"] = [{"metadata-file": f"file://{key}", "timestamp-ms": 1}, *said["metadata-log"]]
    now.write_text(json.dumps(said))
    catalog.load_table("flights.daily").append(pa.table({"x": [2]}))
    assert key.exists()
    assert not first.exists()
    assert catalog.load_table("flights.daily").scan().to_arrow().num_rows == 2


ELSEWHERE = "lies outside the warehouse .*, where nothing is (written|deleted); look who put it there"


@pytest.mark.parametrize("folder", ["metadata", "data", "."])
def test_a_link_in_place_of_a_tables_folder_leads_no_write_elsewhere(
    drls_home: Path, tmp_path: Path, folder: str
) -> None:
    """Code in the engine can put it there: whoever owns the platform may write more places. Failed on 0.2.0."""
    catalog = load_catalog()
    catalog.create_namespace("flights")
    catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())])).append(pa.table({"x": [1]}))
    place = Path(catalog.load_table("flights.daily").location().removeprefix("file://")) / folder
    theirs = tmp_path / "theirs"
    place.rename(theirs)
    place.parent.joinpath(place.name).symlink_to(theirs)
    before = sorted(one for one in theirs.rglob("*"))
    with pytest.raises(DrlsError, match=f"leads to {theirs}.* and {ELSEWHERE}"):
        catalog.load_table("flights.daily").append(pa.table({"x": [2]}))
    assert sorted(one for one in theirs.rglob("*")) == before
    assert catalog.load_table("flights.daily").scan().to_arrow()["x"].to_pylist() == [1]


def test_a_table_that_sql_put_elsewhere_gets_no_commit_of_the_platform(drls_home: Path, tmp_path: Path) -> None:
    """Spark's `LOCATION` and a property can name any place. Failed on 0.2.0."""
    catalog = load_catalog()
    catalog.create_namespace("flights")
    elsewhere = f"file://{tmp_path / 'theirs'}"
    x = pa.schema([("x", pa.int64())])
    with pytest.raises(DrlsError, match=ELSEWHERE):
        catalog.create_table("flights.daily", schema=x, location=elsewhere)
    table = catalog.create_table("flights.hourly", schema=x, properties={"write.data.path": elsewhere})
    with pytest.raises(DrlsError, match=ELSEWHERE):
        table.append(pa.table({"x": [1]}))
    with pytest.raises(DrlsError, match=f"{drls_home / 'secret'} {ELSEWHERE}"):
        table.io.delete(f"file://{drls_home / 'secret'}")
    for odd in ("theirs/x", "file://theirs/x", f"FILE://{drls_home}/x", f"{table.location()}/../../../../x"):
        with pytest.raises(DrlsError, match=ELSEWHERE):
            table.io.new_output(odd)
    assert not (tmp_path / "theirs").exists()
    assert pickle.loads(pickle.dumps(table.io)).new_output(f"{table.location()}/metadata/x").exists() is False  # noqa: S301


TOKEN = "drls_" + "A1b2C3d4" * 5
CONTENTS = {
    "a token": TOKEN,
    "JSON": json.dumps({"url": "http://127.0.0.1", "token": TOKEN}),
    "JSON that looks like metadata": json.dumps({"format-version": TOKEN, "refs": {TOKEN: TOKEN}, "location": 7}),
    "a list": json.dumps([TOKEN]),
}


def by_the_platform() -> None:
    settings = load_settings()
    with catalog_errors(resolve_catalog(settings)):
        load_catalog(settings).load_table("flights.daily")


def by_a_run() -> None:
    policy = TablePolicy("daily", None, Environment.DEVELOPMENT, "run", lambda _: (), lambda *_: False)
    RunCatalog("lake", RunTables.of(load_settings(), policy)).load_table("flights.daily")


@pytest.mark.parametrize("load", [by_the_platform, by_a_run])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_in_place_of_a_tables_metadata_is_not_quoted(
    drls_home: Path, load: Callable[[], None], content: str
) -> None:
    """Neither in the error, which people of a run see, nor in what led to it, which Dagster keeps with it."""
    catalog = load_catalog()
    assert isinstance(catalog, SqlCatalog)
    catalog.create_namespace("flights")
    catalog.create_table("flights.daily", schema=pa.schema([("x", pa.int64())]))
    secret = drls_home / "secret"
    secret.write_text(CONTENTS[content])
    with catalog.engine.begin() as connection:
        given = {"at": f"file://{secret}"}
        connection.execute(sa.text("UPDATE iceberg_tables SET metadata_location = :at"), given)
    with pytest.raises(Exception, match="metadata file is not one of Iceberg's") as raised:
        load()
    assert TOKEN not in "".join(format_exception(raised.value))
    assert TOKEN[:20] not in "".join(format_exception(raised.value))
