"""What is known of tables from before is never what they were before: the next look sees whatever anybody committed."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.lakehouse.data_plane import IcebergDataPlane
from drls_dagster.lakehouse.known_tables import KnownTables
from drls_dagster.settings import CatalogSettings, Settings, load_settings
from lifecycle.domain.environment import Environment
from tests.iceberg_tables import make_table
from tests.sql_statements import statements_of

NAME = ("lab", "a")
APPEND = """
import pyarrow as pa
from drls_dagster.lakehouse.catalog import load_catalog
load_catalog().load_table(("lab", "a")).append(pa.table({"x": [2]}))
"""


def questions() -> AbstractContextManager[list[str]]:
    """What is asked of the catalog's database meanwhile."""
    catalog = load_catalog()
    assert isinstance(catalog, SqlCatalog)
    return statements_of(catalog.engine)


def look() -> int | None:
    found = KnownTables(load_catalog()).load_table(NAME).current_snapshot()
    return found and found.snapshot_id


def test_a_second_look_asks_the_database_for_nothing_from_whichever_thread(drls_home: Path) -> None:
    table = make_table("lab.a", {"x": [1]})
    first = look()
    assert first == table.current_snapshot().snapshot_id  # type: ignore[union-attr]
    found: list[int | None] = []
    with questions() as asked:
        threads = [threading.Thread(target=lambda: found.append(look())) for _ in range(3)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert (found, asked) == ([first] * 3, [])


def test_a_commit_of_this_or_another_process_shows_in_the_very_next_look(drls_home: Path) -> None:
    table = make_table("lab.a", {"x": [1]})
    seen = [look()]
    table.append(table.scan().to_arrow())
    seen.append(look())
    subprocess.run([sys.executable, "-c", APPEND], check=True)
    seen.append(look())
    assert len(set(seen)) == 3
    assert len(table.catalog.load_table(NAME).metadata.snapshots) == 3


def test_a_table_that_comes_goes_or_comes_back_is_noticed(drls_home: Path) -> None:
    make_table("lab.b", {"x": [1]})
    for _ in range(2):
        with pytest.raises(NoSuchTableError):
            look()
        made = make_table("lab.a", {"x": [1]})
        assert look() == made.metadata.current_snapshot_id
        load_catalog().drop_table(NAME)


def test_a_page_s_look_at_a_promotion_s_tables_is_of_now(drls_home: Path) -> None:
    table = make_table("lab.a", {"x": [1]})
    plane = IcebergDataPlane(load_settings())
    heads = list[int | None]()
    for _ in range(3):
        heads.append(plane.one_look(thorough=False).table("lab.a", Environment.PRODUCTION).head)
        assert heads[-1] == plane.one_look().table("lab.a", Environment.PRODUCTION).head
        table.append(table.scan().to_arrow())
    assert len(set(heads)) == 3


def test_the_catalog_is_resolved_by_what_its_secrets_and_variables_say_now(
    tmp_path: Path, drls_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    told = {"uri": "postgresql://ada@h/lake", "secrets": {"password": f"file:{secret}"}}
    settings = Settings(home=tmp_path, catalog=CatalogSettings.model_validate(told))
    for password in ("first one", "second one"):
        secret.write_text(password)
        assert resolve_catalog(settings).password == password
    bare = Settings(home=tmp_path, catalog=CatalogSettings.model_validate({"uri": "postgresql://h/lake"}))
    for user in ("eve", "ada"):
        monkeypatch.setenv("PGUSER", user)
        monkeypatch.setenv("PGPASSWORD", f"{user}'s")
        assert (resolve_catalog(bare).user, resolve_catalog(bare).password) == (user, f"{user}'s")
    default = load_settings()
    home = default.home
    assert resolve_catalog(default).uri == f"sqlite:///{home}/catalog/catalog.db"
    home.mkdir(exist_ok=True)
    (home / "catalog.db").touch()
    assert resolve_catalog(default).uri == f"sqlite:///{home}/catalog.db"
