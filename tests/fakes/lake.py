"""The real data plane, with what tests do to its tables by the names that FakePlane has for it. No engine."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, TableRequirement, TableUpdate
from pyiceberg.types import IntegerType

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.data_plane import IcebergDataPlane
from drls_dagster.lakehouse.locating import load_if_exists
from drls_dagster.settings import Settings
from tests.fakes.rows import ROW, Row

SCHEMA = pa.schema([("id", pa.int32()), ("note", pa.string())])


class LakePlane(IcebergDataPlane):
    """Tables are made when they are first written, with SCHEMA; a write appends `rows`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    @property
    def catalog(self) -> Catalog:
        return load_catalog(self.settings)

    def lake_table(self, name: str) -> Table:
        return self.catalog.load_table(name)

    def make(self, name: str, **properties: str) -> Table:
        """An empty table, as a run that fails before its first publish leaves it."""
        self.catalog.create_namespace_if_not_exists(tuple(name.split(".")[:-1]))
        found = load_if_exists(self.catalog, tuple(name.split(".")))
        return found or self.catalog.create_table(name, SCHEMA, properties=properties)

    def write(
        self,
        table: str,
        parent: int | None,
        operation: str = "append",
        rows: Sequence[Row] = (ROW,),
        **summary: str,
    ) -> int:
        """A snapshot on `parent` that no ref points to yet: what a step has written."""
        made = self.make(table)
        if operation == "replace":
            return self._compact(made, parent)
        branch = f"drls_run_{uuid.uuid4().hex}"
        frame = pa.Table.from_pylist(list(rows), self._schema_for(made, rows))
        if parent is None:
            # PyIceberg cannot write a branch of a table without a snapshot: to main first, then away from it.
            assert refs.head(made, "main") is None
            made.append(frame, snapshot_properties=summary)
            branch = "main"
        else:
            refs.create_branch(self.catalog, made, branch, parent)
            on_branch = self.lake_table(table)
            put = on_branch.overwrite if operation == "overwrite" else on_branch.append
            put(frame, snapshot_properties=summary, branch=branch)
        snapshot = self.head(table, branch)
        assert snapshot is not None
        self._commit(table, [], [refs.remove_ref(branch)])
        return snapshot

    def commit(
        self,
        table: str,
        ref: str = "main",
        operation: str = "append",
        rows: Sequence[Row] = (ROW,),
        **summary: str,
    ) -> int:
        """A foreign write: a snapshot on top of a ref, without a permit."""
        snapshot = self.write(table, self.head(table, ref), operation, rows, **summary)
        self._commit(table, [], [refs.set_branch(self.lake_table(table), ref, snapshot)])
        return snapshot

    def publish(self, table: str, ref: str, base: int | None, candidate: int) -> bool:
        """What a run does under its permit."""
        branch = f"drls_run_{uuid.uuid4().hex}"
        refs.create_branch(self.catalog, self.lake_table(table), branch, candidate)
        try:
            refs.publish(self.catalog, self.lake_table(table), ref, base, candidate, branch)
        except refs.RefMoved:
            refs.drop_branch(self.catalog, self.lake_table(table), branch)
            return False
        return True

    def head(self, table: str, ref: str) -> int | None:
        found = load_if_exists(self.catalog, tuple(table.split(".")))
        return None if found is None else refs.head(found, ref)

    def tags(self, table: str) -> dict[str, int]:
        found = load_if_exists(self.catalog, tuple(table.split(".")))
        named = found.metadata.refs if found else {}
        return {name: ref.snapshot_id for name, ref in named.items() if ref.snapshot_ref_type == "tag"}

    def expire(self, table: str, snapshots: Sequence[int]) -> None:
        """What PyIceberg's maintenance does: the snapshots leave the table's metadata."""
        self.lake_table(table).maintenance.expire_snapshots().by_ids(list(snapshots)).commit()

    def rows(self, table: str, ref: str = "main") -> list[dict[str, Any]]:
        found = self.lake_table(table)
        return found.scan(snapshot_id=refs.head(found, ref)).to_arrow().to_pylist()

    def files(self) -> set[str]:
        """Every file of the warehouse: data, manifests and metadata."""
        warehouse = self.settings.home / "warehouse"
        return {str(file.relative_to(warehouse)) for file in warehouse.rglob("*") if file.is_file()}

    def _schema_for(self, table: Table, rows: Sequence[dict[str, Any]]) -> pa.Schema:
        """The table's, which gets the columns that only the rows have: whole numbers, as a run adds them."""
        new = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in SCHEMA.names]
        with table.update_schema() as change:
            for name in new:
                if name not in table.schema().column_names:
                    change.add_column(name, IntegerType())
        return pa.schema([*SCHEMA, *((name, pa.int32()) for name in new)])

    def as_replace(self, table: str, written: int) -> int:
        """Main at a snapshot with the files of `written`, which calls itself a compaction of what that overwrote."""
        found = self.lake_table(table)
        top = found.snapshot_by_id(written)
        assert top is not None
        assert top.summary is not None
        by_id = {one.snapshot_id: one for one in found.metadata.snapshots}
        parent = top.parent_snapshot_id
        # PyIceberg overwrites in two snapshots: a delete, then an append.
        while parent is not None and by_id[parent].summary.operation is Operation.DELETE:  # type: ignore[union-attr]
            parent = by_id[parent].parent_snapshot_id
        made = top.model_copy(
            update={
                "snapshot_id": found.metadata.new_snapshot_id(),
                "parent_snapshot_id": parent,
                "sequence_number": found.metadata.last_sequence_number + 1,
                "timestamp_ms": found.metadata.last_updated_ms + 1,
                "summary": Summary(operation=Operation.REPLACE, **top.summary.additional_properties),
            }
        )
        self._commit(table, [], [AddSnapshotUpdate(snapshot=made)])
        self._commit(table, [], [refs.set_branch(self.lake_table(table), "main", made.snapshot_id)])
        return made.snapshot_id

    def _compact(self, table: Table, parent: int | None) -> int:
        """The commit of a compaction, for which PyIceberg has no verb: operation `replace`, the same rows."""
        before = table.snapshot_by_id(parent) if parent is not None else None
        assert before is not None
        assert before.summary is not None
        counted = {key: value for key, value in before.summary.additional_properties.items() if key.startswith("total")}
        made = Snapshot(
            snapshot_id=table.metadata.new_snapshot_id(),
            parent_snapshot_id=parent,
            sequence_number=table.metadata.last_sequence_number + 1,
            timestamp_ms=table.metadata.last_updated_ms + 1,
            manifest_list=before.manifest_list,
            summary=Summary(operation=Operation.REPLACE, **counted),
            schema_id=table.metadata.current_schema_id,
        )
        self._commit(".".join(table.name()), [], [AddSnapshotUpdate(snapshot=made)])
        return made.snapshot_id

    def _commit(self, table: str, required: list[TableRequirement], updates: list[TableUpdate]) -> None:
        self.catalog.commit_table(self.lake_table(table), tuple(required), tuple(updates))
