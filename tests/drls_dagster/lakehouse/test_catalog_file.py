"""A catalog of an earlier DRLS moves to a folder of its own, once and whole."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from drls_dagster.lakehouse import catalog_file
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import load_settings


@pytest.fixture
def earlier(drls_home: Path) -> Path:
    """A home with a table in a catalog where it used to be, whose last commit is in SQLite's log only."""
    drls_home.mkdir(mode=0o700)
    file = drls_home / "catalog.db"
    code = (
        "import os, sys\nfrom pyiceberg.catalog.sql import SqlCatalog\nimport sqlite3, pyarrow as pa\n"
        "sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode=WAL')\n"
        "lake = SqlCatalog('lake', uri='sqlite:///' + sys.argv[1], warehouse='file://' + sys.argv[2])\n"
        "lake.create_namespace('a')\nlake.create_table('a.t', pa.schema([('id', pa.int64())]))\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(file), str(drls_home / "warehouse")], check=True, timeout=120)
    assert file.with_name("catalog.db-wal").stat().st_size > 0
    return file


def test_a_new_home_has_it_in_its_folder(drls_home: Path) -> None:
    load_catalog(load_settings()).create_namespace("a")
    assert (drls_home / "catalog" / "catalog.db").is_file()
    assert not (drls_home / "catalog.db").exists()


@pytest.mark.parametrize("named", [False, True])
def test_an_earlier_one_moves_with_its_last_commit(
    drls_home: Path, earlier: Path, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named:
        monkeypatch.setenv("DRLS_CATALOG__URI", f"sqlite:///{earlier}")
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: catalog_file.take_over(drls_home), range(4)))
    assert load_catalog(load_settings()).list_tables("a") == [("a", "t")]
    assert (drls_home / "catalog" / "catalog.db").is_file()
    assert earlier.is_symlink()
    assert not earlier.with_name("catalog.db-wal").exists()


def test_one_that_is_open_stays_where_it_is_and_works(drls_home: Path, earlier: Path) -> None:
    with closing(sqlite3.connect(earlier)) as reader:
        reader.execute("SELECT count(*) FROM iceberg_tables").fetchone()
        assert not catalog_file.take_over(drls_home)
        assert load_catalog(load_settings()).list_tables("a") == [("a", "t")]
        assert catalog_file.catalog_file(drls_home) == earlier
