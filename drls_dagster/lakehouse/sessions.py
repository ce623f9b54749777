"""Evidence sessions (D9): an environment's branch put freshly on main, and tags that keep candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import locating, refs, separate
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.naming import MAIN, separate_location, table_location
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.update import TableRequirement, TableUpdate


Seen = tuple[str | None, int | None]  # a table's uuid and head, as `IcebergDataPlane.table` tells them


def start_fresh(catalog: Catalog, environment: Environment, name: str, seen: Seen | None = None) -> int | None:
    """Puts the environment's branch of a table at main's head and answers where that is.

    The branch goes where main has no snapshot, and the separate table in any case. Branches of runs are left alone.
    Raises RefMoved where somebody writes there at the same time, or has since the table was `seen`.
    """
    at, found = locating.find(catalog, environment, name)
    location = table_location(environment, name)
    real = found if at == location else locating.load_if_exists(catalog, location.identifier)
    own = refs.head(real, location.ref) if real is not None else None
    now = (str(found.metadata.table_uuid), refs.read_head(found, at.ref)) if found is not None else (None, None)
    what = f"session of {name} in {environment.label}"
    if seen not in (None, now):
        raise refs.RefMoved(f"the {what} was written while it was being opened; try again")
    separate.remove(catalog, environment, name, now[0])

    def attempt() -> int | None:
        table = locating.load_if_exists(catalog, location.identifier)
        if table is None:
            return None
        main = refs.head(table, MAIN)
        if refs.head(table, location.ref) != own:
            raise refs.RefMoved(f"the {what} was written while it was being opened; try again")
        if main != own:
            update = refs.remove_ref(location.ref) if main is None else refs.set_branch(table, location.ref, main)
            _commit(catalog, table, [refs.ref_is(MAIN, main), refs.ref_is(location.ref, own)], update)
        return main

    return commit_with_retry(attempt, what=what)


def pin(catalog: Catalog, environment: Environment, name: str, snapshot: int, tag: str) -> None:
    """Keeps `snapshot` under `tag` in whichever table of the environment has it. Raises DrlsError where none has."""

    def attempt() -> None:
        for table in tables_of(catalog, environment, name):
            if table.snapshot_by_id(snapshot) is not None:
                tagged = refs.head(table, tag)
                if tagged != snapshot:
                    _commit(catalog, table, [refs.ref_is(tag, tagged)], refs.set_tag(tag, snapshot))
                return
        where = environment.label
        raise DrlsError(f"{name} no longer has snapshot {snapshot} in {where}; run the pipeline there again")

    commit_with_retry(attempt, what=f"tag {tag} of {name}")


def unpin(catalog: Catalog, environment: Environment, name: str, tag: str) -> None:
    """Removes `tag` from the environment's tables; does nothing where it is not there."""

    def attempt() -> None:
        for table in tables_of(catalog, environment, name):
            tagged = refs.head(table, tag)
            if tagged is not None:
                _commit(catalog, table, [refs.ref_is(tag, tagged)], refs.remove_ref(tag))

    commit_with_retry(attempt, what=f"tag {tag} of {name}")


def tables_of(catalog: Catalog, environment: Environment, name: str) -> list[Table]:
    """The real table and the separate one, as far as they exist: a version may have gone from one to the other."""
    locations = (table_location(environment, name), separate_location(environment, name))
    found = (locating.load_if_exists(catalog, one.identifier) for one in locations if one is not None)
    return [table for table in found if table is not None]


def _commit(catalog: Catalog, table: Table, required: list[TableRequirement], update: TableUpdate) -> None:
    from pyiceberg.table.update import AssertTableUUID

    catalog.commit_table(table, (AssertTableUUID(uuid=table.metadata.table_uuid), *required), (update,))
