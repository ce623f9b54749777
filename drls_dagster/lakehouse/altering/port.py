"""The port `Evolution` over an Iceberg catalog."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.settings import Settings
from lifecycle.domain.evolution import Change, ChangeFacts, SnapshotDiff
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Conflict, Invalid, LifecycleError, Refused, one_line
from lifecycle.ports import Evolution

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Transaction

    from drls_dagster.lakehouse.altering.staged import Look, Staged

_LOG = logging.getLogger("drls.tables")


class IcebergEvolution(Evolution):
    """Keeps nothing but the catalog's connection, which is opened at the first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def plan(self, table: TableAt, change: Change) -> ChangeFacts:
        with self._catalog() as catalog:
            look = _look(catalog, table)
            staged = _staged(look, change)
            # What only PyIceberg refuses is found out now, in a transaction that nobody commits.
            _transaction(look, staged)
            return _facts(look, staged)

    def apply(self, table: TableAt, change: Change, planned: ChangeFacts) -> None:
        from drls_dagster.lakehouse.commit_retry import commit_with_retry

        with self._catalog() as catalog:

            def attempt() -> None:
                look = _look(catalog, table)
                staged = _staged(look, change)
                if _facts(look, staged) != planned:
                    raise Conflict(f"{planned.table} was changed meanwhile; look at the plan again")
                _commit(catalog, look, staged)

            commit_with_retry(attempt, what=f"change of {planned.table}")
            if planned.lines:
                self._tidy(catalog, table)

    def _tidy(self, catalog: Catalog, table: TableAt) -> None:
        """Remove the metadata that a killed change left: now that the table has moved on, nobody can commit it."""
        from drls_dagster.lakehouse.stale_versions import remove_stale_versions

        try:
            remove_stale_versions(self._settings, _look(catalog, table).table)
        except (OSError, DrlsError, NotImplementedError) as error:  # the change is made; what is left is an orphan
            _LOG.warning("metadata that is not in use stays in the folder of %s: %s", table.name, one_line(error))

    def difference(self, table: TableAt, before: str | None, after: str | None) -> SnapshotDiff:
        from drls_dagster.lakehouse.altering.difference import difference

        with self._catalog() as catalog:
            return difference(_look(catalog, table), before, after)

    @contextmanager
    def _catalog(self) -> Iterator[Catalog]:
        try:
            with catalog_errors(resolve_catalog(self._settings)):
                yield load_catalog(self._settings)
        except LifecycleError:
            raise
        except DrlsError as error:
            from drls_dagster.lakehouse.commit_retry import CommitConflictError

            kind = Conflict if isinstance(error, CommitConflictError) else Refused
            raise kind(error.message) from error.__cause__


def _look(catalog: Catalog, table: TableAt) -> Look:
    from drls_dagster.lakehouse.altering.staged import Look
    from drls_dagster.lakehouse.reader.finding import find

    found = find(catalog, table)
    return Look(found.name, found.table, found.ref)


def _staged(look: Look, change: Change) -> Staged:
    from drls_dagster.lakehouse.altering import columns, layouts, refs

    of: dict[str, Callable[[Look, Any], Staged]] = {
        "add_column": columns.add,
        "rename_column": columns.rename,
        "drop_column": columns.drop,
        "move_column": columns.move,
        "alter_type": columns.widen,
        "set_nullable": columns.set_nullable,
        "set_doc": columns.set_doc,
        "alter_partitions": layouts.alter_partitions,
        "set_sort_order": layouts.set_sort_order,
        "roll_back": refs.roll_back,
        "set_ref": refs.set_ref,
        "drop_ref": refs.drop_ref,
        "fast_forward": refs.fast_forward,
    }
    return of[change.kind](look, change)


def _facts(look: Look, staged: Staged) -> ChangeFacts:
    return ChangeFacts(
        table=look.name,
        uuid=str(look.table.metadata.table_uuid),
        lines=staged.lines,
        warnings=staged.warnings,
        column=staged.column,
        layout=staged.layout,
        base=staged.base,
        to=staged.to,
        undone=staged.undone,
    )


def _transaction(look: Look, staged: Staged) -> Transaction:
    """One that holds the change and that nobody has committed. Raises Invalid for what PyIceberg refuses."""
    from pyiceberg.exceptions import ValidationError

    transaction = look.table.transaction()
    try:
        if staged.stage is not None:
            staged.stage(transaction)
    except (ValueError, ValidationError) as error:
        raise Invalid(f"{look.name} cannot be changed like this: {one_line(error)}") from error
    return transaction


def _commit(catalog: Catalog, look: Look, staged: Staged) -> None:
    """One metadata file, whatever is in the table. Raises CommitFailedException where something it needs has moved."""
    from pyiceberg.table.update import AssertTableUUID

    if not staged.lines:
        return
    transaction = _transaction(look, staged)
    # Not committed by the transaction itself: PyIceberg's has no way to assert where refs are.
    requirements = (
        AssertTableUUID(uuid=look.table.metadata.table_uuid),
        *staged.requirements,
        *transaction._requirements,
    )
    catalog.commit_table(look.table, requirements, (*staged.updates, *transaction._updates))
