"""Changes of a table that are not a run's to make, whatever way they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    RemovePropertiesUpdate,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetLocationUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableUpdate,
    UpgradeFormatVersionUpdate,
)
from pyiceberg.types import LongType, NestedField, StringType

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.prepare import OWNER


def newest(table: Table) -> int:
    found = table.metadata.current_snapshot_id
    assert found is not None
    return found


def ref(name: str, kind: str = "branch", **more: Any) -> Callable[[Table], TableUpdate]:
    return lambda table: SetSnapshotRefUpdate.model_validate(
        {"ref-name": name, "type": kind, "snapshot-id": newest(table), **more}
    )


def schema(*fields: NestedField) -> Callable[[Table], TableUpdate]:
    return lambda _: AddSchemaUpdate(schema=Schema(*fields, schema_id=1))


def properties(**given: str) -> Callable[[Table], TableUpdate]:
    return lambda _: SetPropertiesUpdate(updates={key.replace("__", "."): value for key, value in given.items()})


def snapshot_again(table: Table) -> TableUpdate:
    found = table.snapshot_by_id(newest(table))
    assert found is not None
    return AddSnapshotUpdate(snapshot=found.model_copy(update={"snapshot_id": 17}))


FORBIDDEN: dict[str, Callable[[Table], TableUpdate]] = {
    "main": ref("main"),
    "qa": ref("qa"),
    "uat": ref("uat"),
    "a tag": ref("drls_run_01234567_aaaaaaaa", "tag"),
    "a pin": ref("drls_pin_1", "tag"),
    "a branch that nobody noted": ref("drls_run_01234567_aaaaaaaa"),
    "a branch of another run": ref("drls_run_fedcba98_aaaaaaaa"),
    "removing main": lambda _: refs.remove_ref("main"),
    "removing qa": lambda _: refs.remove_ref("qa"),
    "removing a pin": lambda _: refs.remove_ref("drls_pin_1"),
    "a snapshot": snapshot_again,
    "removing snapshots": lambda table: RemoveSnapshotsUpdate.model_validate({"snapshot-ids": [newest(table)]}),
    "another location": lambda _: SetLocationUpdate(location="file:///tmp/elsewhere"),
    "another format": lambda _: UpgradeFormatVersionUpdate.model_validate({"format-version": 2}),
    "another owner": properties(drls__pipeline="other"),
    "release by itself": properties(drls__released="true"),
    "a position": properties(drls__position__x="{}"),
    "a property of no sink": properties(write__parquet__compression_codec="zstd"),
    "another class that opens files": properties(**{"py-io-impl": "os.system"}),
    "another server of files": properties(s3__endpoint="http://elsewhere"),
    "removing its owner": lambda _: RemovePropertiesUpdate(removals=[OWNER]),
}


_ID = NestedField(1, "id", LongType(), required=False)
# In a table that others share.
BEYOND: dict[str, Callable[[Table], TableUpdate]] = {
    "another type": schema(NestedField(1, "id", StringType(), required=False)),
    "another name": schema(NestedField(1, "other", LongType(), required=False)),
    "fewer columns": schema(NestedField(2, "name", LongType(), required=False)),
    "a required column": schema(_ID, NestedField(2, "name", LongType(), required=True)),
    "an unknown schema": lambda _: SetCurrentSchemaUpdate.model_validate({"schema-id": 7}),
    "a rebuild": properties(drls__rebuild="[0, 0, 0]"),
}
