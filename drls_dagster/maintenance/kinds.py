"""Every kind of operation that this DRLS can do, and the module that does it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from drls_dagster.maintenance.work import Keep, Work
from lifecycle.domain.operations import OperationKind, OperationPlan, Result

if TYPE_CHECKING:
    from pyiceberg.table import Table


class Kind(Protocol):
    """What a kind's module has. `options` are the kind's own (`lifecycle.domain.operations.OPTIONS`)."""

    def plan(self, table: Table, ref: str, options: Any, keep: Keep) -> OperationPlan:
        """What it would do; reads metadata only and changes nothing."""
        ...

    def execute(self, work: Work, options: Any) -> Result:
        """Does what the table needs by then; completes or cleans up what dead operations left, as their notes say."""
        ...


KINDS: Mapping[OperationKind, str] = {
    OperationKind.COMPACT: "drls_dagster.maintenance.compact",
    OperationKind.MANIFESTS: "drls_dagster.maintenance.manifests",
    OperationKind.EXPIRE: "drls_dagster.maintenance.expire",
    OperationKind.ORPHANS: "drls_dagster.maintenance.orphans",
    OperationKind.VACUUM: "drls_dagster.maintenance.vacuum",
}


def kind_of(kind: OperationKind, kinds: Mapping[OperationKind, str] = KINDS) -> Kind:
    """Loaded when it is needed: it brings Arrow and PyIceberg."""
    return cast("Kind", import_module(kinds[kind]))
