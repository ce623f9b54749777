"""`drls.read`: a table's rows at one snapshot, in each form, and what is wrong in a line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import drls_dagster as drls
from lifecycle.errors import NotFound
from tests.iceberg_tables import make_table


def test_every_form_has_the_rows_of_the_snapshot_that_it_was_pinned_to() -> None:
    table = make_table("lab.t", {"id": [1], "name": ["a"]})
    rows = drls.read("lab.t")
    assert rows.snapshot == table.snapshots()[-1].snapshot_id
    table.append(pa.table({"id": [2], "name": ["b"]}))
    assert rows.to_arrow().to_pylist() == [{"id": 1, "name": "a"}]
    assert rows.to_pandas()["id"].tolist() == [1]
    assert rows.to_duckdb().aggregate("sum(id)").fetchall() == [(1,)]
    with duckdb.connect() as own:
        assert rows.to_duckdb(own).fetchall() == [(1, "a")]
    assert rows.batches().read_all().num_rows == 1
    assert drls.read("lab.t").to_arrow().num_rows == 2
    assert drls.read("lab.t", columns=["name"]).to_arrow().column_names == ["name"]


def test_a_table_is_read_at_a_ref_a_snapshot_and_a_time() -> None:
    table = make_table("lab.t", {"id": [1]}, {"id": [2]})
    first, second = table.snapshots()
    table.manage_snapshots().create_tag(first.snapshot_id, "old").commit()
    assert drls.read("lab.t", ref="old").to_arrow()["id"].to_pylist() == [1]
    assert drls.read("lab.t", at=first.snapshot_id).snapshot == first.snapshot_id
    then = datetime.fromtimestamp(second.timestamp_ms / 1000, UTC)
    assert drls.read("lab.t", at=then).snapshot == second.snapshot_id


def test_an_environment_reads_its_own_table() -> None:
    make_table("lab__development.t", {"id": [7]})
    rows = drls.read("lab.t", env="development")
    assert (rows.name, rows.to_arrow()["id"].to_pylist()) == ("lab__development.t", [7])


def test_a_table_without_snapshots_stays_empty_and_has_its_columns() -> None:
    table = make_table("lab.t", pa.table({"id": pa.array([], pa.int64())}))
    rows = drls.read("lab.t")
    table.append(pa.table({"id": [1]}))
    assert (rows.snapshot, rows.to_arrow().num_rows, rows.to_arrow().column_names) == (None, 0, ["id"])


@pytest.mark.parametrize(
    ("read", "error", "told"),
    [
        (lambda: drls.read("lab.no"), NotFound, "there is no table lab.no that you may see"),
        (lambda: drls.read("lab"), NotFound, "there is no table lab that you may see"),
        (lambda: drls.read("lab.t", env="prod"), drls.UsageError, "there is no environment 'prod'"),
        (lambda: drls.read("lab.t", ref="no"), NotFound, "has no ref 'no'"),
        (lambda: drls.read("lab.t", at=1), NotFound, "has no snapshot 1"),
        (lambda: drls.read("lab.t", columns=["no"]), NotFound, "has no column 'no'"),
        (lambda: drls.read("lab.t", columns="id"), drls.UsageError, "write ['id']"),
        (lambda: drls.read("lab.t", ref="main", at=1), drls.UsageError, "name one point"),
        (lambda: drls.read("lab.t", at=datetime(2026, 1, 1)), drls.UsageError, "has no time zone"),
    ],
)
def test_what_is_wrong_with_a_read_is_one_line(read: Callable[[], Any], error: type[Exception], told: str) -> None:
    make_table("lab.t", {"id": [1]})
    with pytest.raises(error) as caught:
        read()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_who_may_not_see_a_table_reads_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    make_table("lab.t", {"id": [1]})
    drls.tables()  # the first use makes the store
    monkeypatch.setenv("DRLS_TOKEN", "drls_wrong")
    with pytest.raises(drls.DrlsError):
        drls.read("lab.t")


def test_names_of_the_api_load_no_engine_before_they_work() -> None:
    code = (
        "import sys, drls_dagster as drls\n"
        "for name in ('read', 'spark', 'stop', 'init_spark', 'stop_spark', 'run', 'save', "
        "'Pipeline', 'test', 'spec', 'Rows', 'RunResult', 'Tested'):\n"
        "    getattr(drls, name)\n"
        "drls.Pipeline('p').source('a', 'rate').sql('b', 'SELECT * FROM a').sink('c', 'n.t', 'overwrite').yaml()\n"
        "drls.stop()\n"
        "import drls_dagster.python_api.pytest_plugin\n"
        "heavy = {'pyarrow', 'pyiceberg', 'sqlalchemy', 'dagster', 'ray', 'pyspark', 'pandas', 'duckdb'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (lambda: drls.run("nope"), "there is no pipeline 'nope'"),
        (lambda: drls.run("nope", env="prod"), "there is no environment 'prod'"),
        (lambda: drls.run("no/such.yaml"), "there is no file no/such.yaml"),
        (lambda: drls.run(made(), env="qa"), "a definition runs in development; save it, promote it to QA"),
        (lambda: drls.run(made(), partition="2024"), "is not partitioned; remove partition="),
        (lambda: drls.run(made(), parameters={"x": 1}), "has no parameter 'x'"),
        (lambda: drls.run(made(), select="x"), "has no step 'x'"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_starts_nothing(run: Callable[[], Any], told: str) -> None:
    with pytest.raises(drls.DrlsError) as caught:
        run()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def made() -> drls.Pipeline:
    return drls.Pipeline("made").source("a", "rate").sink("c", "n.t", "overwrite")


def test_init_spark_names_the_setting_that_differs() -> None:
    with pytest.raises(drls.UsageError, match=r"have 2, not 99 as engine.cores; change it in drls.toml"):
        drls.init_spark(cores=99)
    with pytest.raises(drls.UsageError, match=r"have another one as catalog.uri") as caught:
        drls.init_spark(uri="jdbc:postgresql://u:hunter2@h/d")
    assert "hunter2" not in str(caught.value)
