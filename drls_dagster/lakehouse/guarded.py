"""The requirement that nobody has begun to use what a commit takes out of a table.

Iceberg has no such requirement: a ref that is made while the snapshot that it names is being removed would go with it.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement


def unused(
    catalog: Catalog, metadata: TableMetadata, snapshots: Collection[int], removed: Collection[str]
) -> tuple[TableRequirement, ...]:
    """No ref but the `removed` ones names one of the `snapshots`, and no snapshot that is new builds on one.

    Catalogs that compare in this process (SQL, Hive, Glue) see all of it. A REST server compares the refs that are
    known now; a ref that is made between this look and the commit is not seen there.
    """
    from pyiceberg.catalog.rest import RestCatalog

    own = _requirement()(uuid=metadata.table_uuid).of(metadata, snapshots, removed)
    if not isinstance(catalog, RestCatalog):
        return (own,)
    return (own, *(refs.ref_is(name, ref.snapshot_id) for name, ref in metadata.refs.items()))


@cache
def _requirement():
    from pydantic import PrivateAttr
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.update import AssertTableUUID

    class Unused(AssertTableUUID):
        _known: set[int] = PrivateAttr(default_factory=set[int])
        _going: set[int] = PrivateAttr(default_factory=set[int])
        _removed: set[str] = PrivateAttr(default_factory=set[str])

        def of(self, metadata: TableMetadata, snapshots: Collection[int], removed: Collection[str]) -> Unused:
            self._known = {one.snapshot_id for one in metadata.snapshots}
            self._going, self._removed = set(snapshots), set(removed)
            return self

        def validate(self, base_metadata: TableMetadata | None) -> None:
            super().validate(base_metadata)
            if base_metadata is None:
                return
            named = [name for name, ref in base_metadata.refs.items() if ref.snapshot_id in self._going]
            built = any(
                one.parent_snapshot_id in self._going
                for one in base_metadata.snapshots
                if one.snapshot_id not in self._known
            )
            gone = self._going - {one.snapshot_id for one in base_metadata.snapshots}
            if set(named) - self._removed or built or gone:
                raise CommitFailedException("a snapshot that is about to go is in use, or gone already")

    return Unused
