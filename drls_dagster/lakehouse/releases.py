"""Releases: a ref moved with its tag in one commit, and put back (D12, D14, L12).

No data is touched: a move writes one metadata file, whatever the table's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.history import descends_from
from drls_dagster.lakehouse.layout import LayoutChange, parse_change, present, stage
from drls_dagster.lakehouse.locating import load_if_exists
from drls_dagster.lakehouse.naming import MAIN
from lifecycle.ports import Move, MoveResult

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.update import TableRequirement, TableUpdate


def move(catalog: Catalog, identifier: tuple[str, ...], wanted: Move) -> MoveResult:
    """The compare-and-set of `lifecycle.ports.DataPlane.move`, with its tag and metadata changes, in one commit.

    CONFLICT also where the candidate is gone, the tag names another snapshot, or what a metadata change starts
    from no longer holds. Raises CommitConflictError when other refs of the table move at every try.
    """

    def attempt() -> MoveResult:
        table = load_if_exists(catalog, identifier)
        return MoveResult.CONFLICT if table is None else _move(catalog, table, wanted)

    return commit_with_retry(attempt, what=f"{wanted.tag}, '{wanted.ref}' of {'.'.join(identifier)}")


def _move(catalog: Catalog, table: Table, wanted: Move) -> MoveResult:
    tagged = refs.head(table, wanted.tag)
    if tagged is not None:
        return MoveResult.ALREADY if tagged == wanted.candidate else MoveResult.CONFLICT
    changes = [parse_change(text) for text in wanted.metadata_changes]
    if (
        refs.head(table, wanted.ref) != wanted.base
        or table.snapshot_by_id(wanted.candidate) is None
        or any(present(table.metadata, change.what) not in (change.was, change.becomes) for change in changes)
    ):
        return MoveResult.CONFLICT
    updates = [
        refs.set_branch(table, wanted.ref, wanted.candidate),
        refs.set_tag(wanted.tag, wanted.candidate),
        *_released(wanted, to=True),
    ]
    required = [refs.ref_is(wanted.ref, wanted.base), refs.ref_is(wanted.tag, None)]
    _commit(catalog, table, required, updates, changes)
    return MoveResult.MOVED


def undo(catalog: Catalog, identifier: tuple[str, ...], wanted: Move) -> bool:
    """Puts the ref back to the move's base, without which it goes, and the layout to what it was.

    A metadata change is taken back where the table still has what the move made of it; columns that were added
    stay, since other branches may have them filled. False when others wrote on top of the candidate. Raises
    DrlsError when the base was expired.
    """

    def attempt() -> bool:
        table = load_if_exists(catalog, identifier)
        return table is None or _undo(catalog, table, wanted)

    return commit_with_retry(attempt, what=f"undoing {wanted.tag}, '{wanted.ref}' of {'.'.join(identifier)}")


def _undo(catalog: Catalog, table: Table, wanted: Move) -> bool:
    head, tagged = refs.head(table, wanted.ref), refs.head(table, wanted.tag)
    updates: list[TableUpdate] = []
    changes: list[LayoutChange] = []
    if head not in (wanted.base, wanted.candidate) and descends_from(table, head, wanted.candidate):
        return False
    if head == wanted.candidate != wanted.base:
        if wanted.base is None:
            updates += [refs.remove_ref(wanted.ref), *_released(wanted, to=False)]
        elif table.snapshot_by_id(wanted.base) is None:
            raise DrlsError(
                f"'{wanted.ref}' of {'.'.join(table.name())} cannot return to snapshot {wanted.base}, which "
                "has expired; set the ref manually, then resume"
            )
        else:
            updates.append(refs.set_branch(table, wanted.ref, wanted.base))
    if tagged is not None:
        updates.append(refs.remove_ref(wanted.tag))
        made = [parse_change(text) for text in wanted.metadata_changes]
        changes = [
            LayoutChange(change.what, change.becomes, change.was)
            for change in made
            if present(table.metadata, change.what) == change.becomes
        ]
    if updates:
        _commit(catalog, table, [refs.ref_is(wanted.ref, head), refs.ref_is(wanted.tag, tagged)], updates, changes)
    return True


def _released(wanted: Move, *, to: bool) -> list[TableUpdate]:
    """Whether production has the table: a first release says so in the commit that makes it (D12)."""
    from pyiceberg.table.update import SetPropertiesUpdate

    if wanted.base is not None or wanted.ref != MAIN:
        return []
    return [SetPropertiesUpdate(updates={refs.RELEASED: str(to).lower()})]


def _commit(
    catalog: Catalog,
    table: Table,
    required: list[TableRequirement],
    updates: list[TableUpdate],
    changes: list[LayoutChange],
) -> None:
    from pyiceberg.table.update import AssertTableUUID

    layout = table.transaction()
    stage(layout, [change for change in changes if present(table.metadata, change.what) != change.becomes])
    # Not committed by the transaction itself: PyIceberg's has no way to assert where other refs are.
    requirements = (AssertTableUUID(uuid=table.metadata.table_uuid), *required, *layout._requirements)
    catalog.commit_table(table, requirements, (*updates, *layout._updates))
