"""Rows of a pinned snapshot are read once; whoever may no longer see them, or asks of another state, gets no old ones."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.lakehouse.reader.kept import KeptRows
from drls_dagster.lakehouse.reader.sql.statement import read_statement
from drls_dagster.lakehouse.reader.sql.workers import Worker, Workers
from lifecycle.domain.tables import ColumnPage, Point, QueryRows, ReadLimits, TableAt
from lifecycle.errors import NotFound
from tests.iceberg_tables import make_table

TABLE = TableAt(name="lab.a")
SQL = "SELECT count(*) AS n, max(x) AS most FROM lab.a"
APPEND = """
import pyarrow as pa
from drls_dagster.lakehouse.catalog import load_catalog
load_catalog().load_table(("lab", "a")).append(pa.table({"x": [40], "y": ["d"]}))
"""


def anybody(_: str) -> None:
    """May see every table."""


def make() -> Any:
    return make_table("lab.a", {"x": [1, 2, 3], "y": ["a", "b", "c"]})


def lose_the_files(table: Any) -> None:
    """From now on nobody can read the rows."""
    for task in table.scan().plan_files():
        Path(task.file.file_path.removeprefix("file://")).unlink()


def show(tables: IcebergTables, limits: ReadLimits, point: Point = Point(), *columns: str, **page: int) -> Any:  # noqa: B008
    return tables.preview(TABLE, point, columns, limits, ColumnPage(**page)).rows


def count(tables: IcebergTables, limits: ReadLimits, sql: str = SQL, **asked: Any) -> QueryRows:
    return tables.query(sql, asked.get("may", anybody), None, asked.get("ref"), limits)


def test_rows_of_a_snapshot_are_read_once(tables: IcebergTables, limits: ReadLimits) -> None:
    table = make()
    rows, counted = show(tables, limits), count(tables, limits)
    lose_the_files(table)
    assert (show(tables, limits), count(tables, limits)) == (rows, counted)
    assert (rows, counted.rows) == (((1, "a"), (2, "b"), (3, "c")), ((3, 3),))


def test_a_commit_of_another_process_shows_in_the_very_next_call(tables: IcebergTables, limits: ReadLimits) -> None:
    table = make()
    first = table.metadata.current_snapshot_id
    for _ in range(2):
        assert (len(show(tables, limits)), count(tables, limits).rows) == (3, ((3, 3),))
    subprocess.run([sys.executable, "-c", APPEND], check=True)
    found = count(tables, limits)
    assert (len(show(tables, limits)), found.rows) == (4, ((4, 40),))
    assert len(show(tables, limits, Point(snapshot=first))) == 3
    assert found.read[0].snapshot != first


def test_who_may_see_a_table_is_asked_with_each_query(tables: IcebergTables, limits: ReadLimits) -> None:
    make()
    count(tables, limits)

    def nobody(name: str) -> None:
        raise NotFound(f"there is no table {name}")

    with pytest.raises(NotFound):
        count(tables, limits, may=nobody)


def test_rows_are_kept_for_exactly_what_was_asked(tables: IcebergTables, limits: ReadLimits) -> None:
    table = make()
    one = limits.model_copy(update={"rows": 1})
    narrow = limits.model_copy(update={"text": 1})
    first = table.metadata.current_snapshot_id
    table.append(table.scan().to_arrow())
    table.manage_snapshots().create_branch(first, "old").commit()
    whole = show(tables, limits)
    assert len(whole) == 6
    others = [
        show(tables, one),
        show(tables, limits, Point(snapshot=first)),
        show(tables, limits, Point(), "y"),
        show(tables, limits, Point(), most=1),
        show(tables, limits, Point(), after=1, most=1),
    ]
    assert all(other != whole for other in others)
    assert others[2] != others[3]
    texts = "SELECT y || y AS t FROM lab.a LIMIT 1"
    assert count(tables, limits).rows == ((6, 3),)
    assert count(tables, limits, ref="old").rows == ((3, 3),)
    assert count(tables, limits, "SELECT x FROM lab.a").rows != count(tables, one, "SELECT x FROM lab.a").rows
    assert count(tables, limits, texts).rows != count(tables, narrow, texts).rows


def test_who_waited_for_a_turn_gets_the_rows_that_were_read_meanwhile(
    tables: IcebergTables, limits: ReadLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five equal queries at once are one reading, and do not keep others from their turn."""
    table = make()
    one = Workers.one
    first: list[QueryRows] = []

    def after_another(self: Workers, memory: str) -> AbstractContextManager[Worker]:
        monkeypatch.setattr(Workers, "one", one)
        first.append(count(tables, limits))
        lose_the_files(table)
        return one(self, memory)

    monkeypatch.setattr(Workers, "one", after_another)
    assert [count(tables, limits)] == first


def test_what_says_something_else_each_time_is_not_kept(tables: IcebergTables, limits: ReadLimits) -> None:
    make()
    for sql in ("SELECT random() AS r FROM lab.a", "SELECT x, now() AS t FROM lab.a"):
        assert count(tables, limits, sql).rows != count(tables, limits, sql).rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT current_date FROM lab.a",
        "SELECT localtime FROM lab.a",
        "SELECT x FROM lab.a WHERE day > current_timestamp",
        "SELECT DATE 'today' FROM lab.a",
        "SELECT ' Now '::TIMESTAMP FROM lab.a",
        "SELECT today() FROM lab.a",
        "SELECT age(t) FROM lab.a",
        "SELECT uuid() FROM lab.a",
        "SELECT x FROM lab.a USING SAMPLE 3",
        "SELECT x FROM lab.a WHERE y IN (SELECT some_function(z) FROM lab.b)",
    ],
)
def test_a_statement_about_time_or_chance_or_that_nobody_knows_never_counts_as_the_same(sql: str) -> None:
    assert not read_statement(sql).same
    assert read_statement(SQL).same


def test_what_is_kept_is_bounded_and_what_nobody_asked_for_longest_goes() -> None:
    def rows(text: str) -> QueryRows:
        return QueryRows(columns=(), rows=((text,),), read=())

    kept = KeptRows(most=800, most_of_one=400)
    for key in "abc":
        kept.keep(key, rows(key * 250))
        kept.find("a")
    assert [kept.find(key) is not None for key in "abc"] == [True, False, True]
    kept.keep("long", rows("x" * 500))
    assert [kept.find(key) is not None for key in ("a", "c", "long")] == [True, True, False]
    for _ in range(9):
        kept.keep("a", rows("a" * 250))
    assert kept.find("c") is not None
