"""`drls.tables()` and `drls.table(name)`: the verbs of tables for programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import drls_dagster as drls
from lifecycle.errors import NotFound
from tests.iceberg_tables import make_table


def test_tables_are_listed_described_and_read_at_any_point() -> None:
    table = make_table("lab.t", {"id": [1]}, {"id": [2]})
    first = table.snapshots()[0].snapshot_id
    assert [one.name for one in drls.tables("lab")] == ["lab.t"]
    found = drls.table("lab.t")
    assert found.show().rows == 2
    assert [one.name for one in found.schema().columns] == ["id"]
    assert len(found.history()) == 2
    assert found.health().data_file_count == 2
    assert found.preview().rows == ((2,), (1,)) or found.preview().rows == ((1,), (2,))
    assert found.at(first).preview().rows == ((1,),)
    assert found.at(ref="main").statistics().rows == 2


def test_changes_are_read_once_each_when_a_program_follows_a_table(tmp_path: Path) -> None:
    table = make_table("lab.t", {"id": [1]}, {"id": [2]})
    changes = drls.table("lab.t").changes()
    table.append(pa.table({"id": [3]}))  # after they were asked for, before they are read
    assert changes.to_arrow()["id"].to_pylist() == [1, 2]
    assert [row["id"] for row in changes.rows()] == [1, 2]
    later = drls.table("lab.t").changes(changes.end)
    file = tmp_path / "out/changes.parquet"
    file.parent.mkdir()
    assert later.write_parquet(file) == 1
    assert pq.read_table(file)["id"].to_pylist() == [3]
    assert list(file.parent.iterdir()) == [file]
    assert drls.table("lab.t").changes(later.end).to_arrow().num_rows == 0


def test_a_table_that_is_empty_when_it_is_followed_gives_every_row_next_time() -> None:
    table = make_table("lab.t", pa.table({"id": pa.array([], pa.int64())}))
    changes = drls.table("lab.t").changes()
    table.append(pa.table({"id": [1]}))
    assert (changes.end, changes.to_arrow().num_rows, list(changes.rows())) == (None, 0, [])
    assert drls.table("lab.t").changes(changes.end).to_arrow()["id"].to_pylist() == [1]


def test_a_program_maintains_a_table() -> None:
    table = make_table("lab.t", *({"id": [number]} for number in range(6)))
    found = drls.table("lab.t")
    done = found.compact()
    assert (done.rewritten_files, done.new_files) == (6, 1)
    assert sorted(found.preview().rows) == [(number,) for number in range(6)]
    gone = found.expire(retain_last=2)
    assert (gone.expired_count, gone.remaining_count) == (5, 2)
    assert found.orphans().orphan_count == 0
    table.append(pa.table({"id": [6]}))
    newest, before = (one.snapshot for one in found.history(limit=2))
    assert found.diff(before, newest).added.rows == 1
    assert found.rollback(before).done
    assert len(found.preview().rows) == 6
    with pytest.raises(drls.DrlsError, match="cannot be used"):
        found.compact(where="id =")


def test_what_is_wrong_is_said_in_a_line() -> None:
    make_table("lab.t", {"id": [1]})
    with pytest.raises(NotFound, match=r"lab\.no"):
        drls.table("lab.no").health()
    with pytest.raises(drls.UsageError, match="no environment 'prod'"):
        drls.table("lab.t", environment="prod")
    with pytest.raises(drls.UsageError, match="name one point"):
        drls.table("lab.t").at(1, ref="main")
    with pytest.raises(drls.UsageError, match="no column 'x'"):
        drls.table("lab.t").changes(keys=["x"]).batches()


def test_importing_drls_is_light_and_its_names_come_when_they_are_used() -> None:
    code = (
        "import sys, drls_dagster as drls\n"
        "heavy = {'pyarrow', 'pyiceberg', 'sqlalchemy', 'pydantic', 'dagster', 'ray', 'pyspark'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "drls.table\n"
        "assert not {'dagster', 'ray', 'pyspark'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
