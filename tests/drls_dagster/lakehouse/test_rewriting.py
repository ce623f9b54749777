"""Snapshots that replace files: what they keep, what their summary says, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table.update import AssertTableUUID

from drls_dagster.lakehouse import refs, rewriting
from drls_dagster.lakehouse.rewriting import Change, Manifests, StaleFiles

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

SCHEMA = pa.schema([("n", pa.int64()), ("day", pa.date32())])


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    made.create_namespace("ns")
    return made


def appended(catalog: Catalog, times: int, version: str = "2") -> Table:
    table = catalog.create_table("ns.t", SCHEMA, properties={"format-version": version})
    for number in range(times):
        table.append(pa.table({"n": [number, -number], "day": [number, None]}, schema=SCHEMA))
    return table


def committed(catalog: Catalog, table: Table, made: rewriting.Replacement, ref: str = "main") -> Table:
    parent = made.snapshot.parent_snapshot_id
    catalog.commit_table(
        table,
        (AssertTableUUID(uuid=table.metadata.table_uuid), refs.ref_is(ref, parent)),
        (made.update, refs.set_branch(table, ref, made.snapshot.snapshot_id)),
    )
    return catalog.load_table(table.name())


def base_of(table: Table) -> int:
    base = refs.head(table, "main")
    assert base is not None
    return base


def rows(table: Table) -> list[tuple[object, ...]]:
    return sorted(zip(*(column.to_pylist() for column in table.scan().to_arrow().columns), strict=True), key=repr)


@pytest.mark.parametrize("version", ["1", "2"])
def test_regrouped_manifests_hold_the_same_entries_under_their_own_sequence_numbers(
    catalog: Catalog, version: str
) -> None:
    table = appended(catalog, 7, version)
    before, content = list(live(table)), rows(table)
    head = table.current_snapshot()
    assert head is not None
    paths = frozenset(one.manifest_path for one in head.manifests(table.io))
    noted: list[str] = []

    made = rewriting.replace(table, head.snapshot_id, Change(regroup=paths), note=noted.append)
    after = committed(catalog, table, made)

    assert (made.rewritten_manifests, made.new_manifests) == (7, 1)
    assert sorted(noted) == sorted(made.files)
    assert rows(after) == content
    assert sorted(live(after)) == sorted(before)
    now = after.current_snapshot()
    assert now is not None
    assert now.summary is not None
    assert now.summary.operation.value == "replace"
    totals = {name: value for name, value in refs.summary(head).items() if name.startswith("total-")}
    assert totals.items() <= refs.summary(now).items()


def live(table: Table) -> list[tuple[str, int | None, int | None]]:
    head = table.current_snapshot()
    assert head is not None
    return [
        (one.data_file.file_path, one.sequence_number, one.file_sequence_number)
        for _, one in Manifests(table.io).live(head)
    ]


def test_a_file_that_replaces_others_gets_the_sequence_number_it_was_made_at(catalog: Catalog) -> None:
    table = appended(catalog, 3)
    base = base_of(table)
    head = table.current_snapshot()
    assert head is not None
    entries = [one for _, one in Manifests(table.io).live(head)]
    kept, *others = (one.data_file for one in entries)
    table.append(pa.table({"n": [100], "day": [None]}, schema=SCHEMA))
    table.delete("n = 100")  # the file that comes back below is the one that is there already

    change = Change(
        add=(kept,), remove=frozenset(one.file_path for one in [kept, *others]), sequence=head.sequence_number
    )
    made = rewriting.replace(table, base_of(table), change)
    after = committed(catalog, table, made)

    assert base_of(table) != base
    assert live(after) == [(kept.file_path, 3, made.snapshot.sequence_number)]
    now = refs.summary(made.snapshot)
    assert (now["added-data-files"], now["deleted-data-files"], now["total-data-files"]) == ("1", "3", "1")
    assert (now["added-records"], now["deleted-records"], now["total-records"]) == ("2", "6", "2")
    assert "removed-delete-files" not in now
    manifests = [one for one in made.snapshot.manifests(table.io) if one.manifest_path in made.files]
    told = [one.status for found in manifests for one in found.fetch_manifest_entry(table.io, discard_deleted=False)]
    assert told.count(ManifestEntryStatus.DELETED) == 3
    assert told.count(ManifestEntryStatus.ADDED) == 1


def test_a_file_that_is_no_longer_there_is_not_replaced_and_nothing_is_left(catalog: Catalog, tmp_path: Path) -> None:
    table = appended(catalog, 2)
    before = sorted(tmp_path.rglob("*.avro"))

    with pytest.raises(StaleFiles, match=r"1 of the files to replace are not in snapshot"):
        rewriting.replace(table, base_of(table), Change(remove=frozenset([live(table)[0][0], "file:///gone"])))

    assert sorted(tmp_path.rglob("*.avro")) == before


def test_a_replacement_is_refused_once_another_ref_took_its_sequence_number(catalog: Catalog) -> None:
    table = appended(catalog, 2)
    refs.create_branch(catalog, table, "side", base_of(table))
    table = catalog.load_table("ns.t")
    head = table.current_snapshot()
    assert head is not None
    paths = frozenset(one.manifest_path for one in head.manifests(table.io))
    made = rewriting.replace(table, head.snapshot_id, Change(regroup=paths))
    catalog.load_table("ns.t").append(pa.table({"n": [5], "day": [None]}, schema=SCHEMA), branch="side")

    with pytest.raises(ValueError, match="sequence number"):
        committed(catalog, table, made)


def test_manifests_of_a_spec_whose_column_was_dropped_are_rewritten(catalog: Catalog) -> None:
    table = catalog.create_table("ns.t", SCHEMA)
    with table.update_spec() as spec:
        spec.add_identity("day")
    for number in range(3):
        table.append(pa.table({"n": [number], "day": [number]}, schema=SCHEMA))
    with table.update_spec() as spec:
        spec.remove_field("day")
    with table.update_schema(allow_incompatible_changes=True) as schema:
        schema.delete_column("day")
    table = catalog.load_table("ns.t")
    content = rows(table)
    head = table.current_snapshot()
    assert head is not None
    paths = frozenset(one.manifest_path for one in head.manifests(table.io))

    after = committed(catalog, table, rewriting.replace(table, head.snapshot_id, Change(regroup=paths)))

    assert rows(after) == content
