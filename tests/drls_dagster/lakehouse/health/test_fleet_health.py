"""Many tables: one that is broken hides no other, what did not change is not read again, and scores have a history."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.health import files, fleet, kept
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.ledger import health as kept_health
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import load_settings
from lifecycle.domain.table_health import HealthKind, TableHealth
from lifecycle.domain.tables import TableAt
from lifecycle.errors import NotFound
from tests.drls_dagster.lakehouse.health.metadata import MB, make_files
from tests.iceberg_tables import make_table


@pytest.fixture
def tables() -> IcebergTables:
    return IcebergTables(load_settings())


def file_of(location: str) -> Path:
    return Path(location.removeprefix("file://"))


def timeless(one: TableHealth) -> TableHealth:
    """Without when it was looked at."""
    return one.model_copy(update={"at": None})


def test_a_broken_table_has_its_error_and_hides_no_other(tables: IcebergTables) -> None:
    make_table("lab.good", {"x": [1]})
    make_files("lab.small", [MB] * 60)
    file_of(make_table("lab.gone", {"x": [1]}).metadata_location).unlink()
    broken = make_table("lab.broken", {"x": [1]}).current_snapshot()
    assert broken is not None
    file_of(broken.manifest_list).write_bytes(b"Obj\x01 no more")
    found = {one.name: one for one in tables.healths(["lab.broken", "lab.gone", "lab.good", "lab.never", "lab.small"])}
    assert list(found) == ["lab.broken", "lab.gone", "lab.good", "lab.small"]
    assert [one.score for one in found.values()] == [None, None, 100, 50]
    assert "metadata file" in (found["lab.gone"].error or "")
    assert found["lab.broken"].error
    assert [one.name for one in sorted(found.values(), key=lambda one: one.worst_first)] == [
        "lab.broken", "lab.gone", "lab.small", "lab.good"
    ]  # fmt: skip


def test_only_tables_that_changed_are_read_again(tables: IcebergTables) -> None:
    names = ["lab.a", "lab.b"]
    for name in names:
        make_table(name, {"x": [1]})
    first = [timeless(one) for one in tables.healths(names)]
    files.forget()
    manifests = [file for file in (load_settings().home / "warehouse").rglob("*.avro") if "/a/" in str(file)]
    assert len(manifests) == 2
    for one in manifests:
        one.rename(f"{one}.away")
    assert [timeless(one) for one in tables.healths(names)] == first, "what was kept needs no manifest"
    load_catalog().load_table("lab.b").append(make_table("lab.c", {"x": [2]}).scan().to_arrow())
    again = tables.healths(names)
    assert (timeless(again[0]), again[1].data_file_count) == (first[0], 2)
    load_catalog().load_table("lab.a").transaction().set_properties({"a": "b"}).commit_transaction()
    assert tables.healths(names)[0].error, "now it is looked at, and its manifests are away"


def test_other_thresholds_are_another_look(tables: IcebergTables, monkeypatch: pytest.MonkeyPatch) -> None:
    make_table("lab.a", *[{"x": [number]} for number in range(8)])
    assert tables.healths(["lab.a"])[0].score is not None
    monkeypatch.setenv("DRLS_MAINTENANCE__HEALTH__SNAPSHOTS", "4")
    strict = IcebergTables(load_settings().model_validate({"home": load_settings().home}))
    assert HealthKind.SNAPSHOTS in strict.healths(["lab.a"])[0].reasons


def test_after_its_time_it_answers_with_what_was_kept(tables: IcebergTables) -> None:
    make_table("lab.a", {"x": [1]})
    (kept,) = tables.healths(["lab.a"])
    table = load_catalog().load_table("lab.a")
    table.append(table.scan().to_arrow())
    make_table("lab.b", {"x": [1]})
    names = {"lab.a": ("lab", "a"), "lab.b": ("lab", "b")}
    late = fleet.healths(load_settings(), load_catalog(), names, seconds=-1)
    assert (timeless(late[0]), late[1].error) == (timeless(kept), "not looked at yet")
    assert [one.data_file_count for one in fleet.healths(load_settings(), load_catalog(), names)] == [2, 1]


def test_the_history_has_each_look_that_found_something_else(
    tables: IcebergTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_table("lab.a", *[{"x": [number]} for number in range(7)])
    at = TableAt(name="lab.a")
    for _ in range(3):
        tables.health(at)
    assert len(tables.health_history("lab.a", None, 10)) == 1
    for number in range(34):
        table.append(make_table(f"lab.n{number}", {"x": [1]}).scan().to_arrow())
    tables.healths(["lab.a"])
    tables.health(at)
    newest, oldest = tables.health_history("lab.a", None, 10)
    assert (newest.score < oldest.score, newest.data_file_count, oldest.data_file_count) == (True, 41, 7)
    assert sum(newest.points.values()) == 100 - newest.score
    assert tables.health_history("lab.a", newest.at.timestamp(), 10) == [oldest]
    assert tables.health_history("lab.n0", None, 10) == []
    with pytest.raises(NotFound):
        tables.health_history("lab.nobody", None, 10)
    # The same score and reasons are news once an hour.
    table.append(make_table("lab.m", {"x": [1]}).scan().to_arrow())
    before = tables.health(at)
    assert (before.score, len(tables.health_history("lab.a", None, 10))) == (newest.score, 2)
    monkeypatch.setattr(kept_health, "HOUR", 0.0)
    tables.health(at)
    assert len(tables.health_history("lab.a", None, 10)) == 2, "the same look was kept a moment ago"
    monkeypatch.setattr(kept, "_AGAIN", 0.0)
    tables.health(at)
    assert len(tables.health_history("lab.a", None, 10)) == 3


def test_the_history_is_pruned_by_number_and_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(load_settings())
    monkeypatch.setattr(kept_health, "MOST", 5)

    def keep(number: int, days: float = 400) -> None:
        ledger.keep_looks([kept_health.NewLook("lab.a", "s", "r", time.time(), {}, {"n": number}, str(number))], days)

    for number in range(9):
        keep(number)
    assert [look["n"] for _, look in ledger.health_history("lab.a", None, 10)] == [8, 7, 6, 5, 4]
    keep(9, days=-1)
    assert (ledger.health_history("lab.a", None, 10), ledger.kept_looks()) == ([], {})


def test_the_tables_of_qa_are_looked_at_on_their_branch(tables: IcebergTables) -> None:
    table = make_table("flights__qa.daily", {"x": [1]})
    (snapshot,) = table.metadata.snapshots
    file = file_of(table.metadata_location)
    metadata = json.loads(file.read_text())
    del metadata["current-snapshot-id"]
    metadata["refs"] = {"qa": {"snapshot-id": snapshot.snapshot_id, "type": "branch"}}
    file.write_text(json.dumps(metadata))
    (found,) = tables.healths(["flights__qa.daily"])
    assert (found.data_file_count, found.score) == (1, 100)
    assert tables.health(TableAt(name="flights__qa.daily")).data_file_count == 1
    assert time.time() - tables.health_history("flights__qa.daily", None, 1)[0].at.timestamp() < 600
