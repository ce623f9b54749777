"""QA's and UAT's tables of their own (D10).

Schema, partition spec, sort order and properties belong to all branches of a table, so a QA or UAT run may add
optional columns to a real table and nothing else. A sink whose result needs more goes into a *separate* table,
`<namespace>__qa.<table>` or `<namespace>__uat.<table>`, until its environment's next session starts fresh. There
its branch has the environment's name too, so that receipts and permits name one ref per environment. What it
holds cannot be carried by moving a ref: the plan says so, and production's first run makes the change.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.evolution import beyond_additions
from drls_dagster.lakehouse.layout import PARTITIONS, format_change, is_listed, wanted_changes
from drls_dagster.lakehouse.locating import load_if_exists
from drls_dagster.lakehouse.namespaces import ensure_namespace
from drls_dagster.lakehouse.naming import TableLocation, separate_location
from drls_dagster.lakehouse.positions import RESET
from drls_dagster.lakehouse.rebuild import REBUILD
from drls_dagster.lakehouse.refs import RELEASED, RefMoved
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

    from lifecycle.spec import SinkNode

SEPARATE = "drls.separate"  # the property of such a table: why it is one


class GoesSeparate(RefMoved):
    """The sink's table is another one from now on: locate it again, pin again, write there."""


def may_reshape(environment: Environment, location: TableLocation) -> bool:
    """Whether a run may change the table's layout and widen its columns, rather than add columns only.

    In development, in a separate table, and in production: there only the deployed version runs, whose layout was
    approved with it. After a promotion that carried data nothing is left to change; after one of code alone,
    production's first run makes the change.
    """
    return environment == Environment.PRODUCTION or location.identifier[-2].endswith(f"__{environment}")


def why_separate(table: Table, sink: SinkNode, frame: Schema) -> str:
    """Why a branch of the real table cannot hold the result; empty when it can."""
    why = list(beyond_additions(table.schema(), frame))
    changes = wanted_changes(table.metadata, sink)
    if sink.mode == "overwrite_partitions":
        # Which rows such a write replaces depends on the partitioning: it cannot wait for the promotion.
        why += [format_change(change) for change in changes if change.what == PARTITIONS]
    unlisted = [change for change in changes if not is_listed(change)]
    if unlisted:
        raise DrlsError(
            f"sink '{sink.id}' wants {'; '.join(map(format_change, unlisted))}, which DRLS does not change in a table "
            f"that others share; set it on {'.'.join(table.name())} by hand, or leave it out"
        )
    return "; ".join(why)


def go_separate(catalog: Catalog, table: Table, location: TableLocation, why: str) -> GoesSeparate:
    """Makes the separate table, empty and otherwise like the real one; returns what the sink must know.

    Like the real one, so that the sink changes it as production's first run will change that, or fails likewise.
    """
    own = separate_location(Environment(location.ref), location.name)
    assert own is not None, "development and production reshape their tables themselves"  # noqa: S101
    ensure_namespace(catalog, own.identifier[:-1])
    # Nothing that describes the state of the real table's data: this one begins empty.
    inherited = {
        name: value
        for name, value in table.properties.items()
        if name not in (RELEASED, REBUILD) and not name.startswith(RESET)
    }
    with contextlib.suppress(TableAlreadyExistsError):  # made by an earlier try
        catalog.create_table(
            own.identifier,
            table.schema(),
            partition_spec=table.spec(),
            sort_order=table.sort_order(),
            properties={**inherited, "format-version": str(table.format_version), SEPARATE: why},
        )
    return GoesSeparate(f"{location.name} cannot hold the result on a branch ({why}); it goes to {own.name}")


def remove(catalog: Catalog, environment: Environment, table: str, uuid: str | None) -> None:
    """Drops the separate table `uuid` with its files, for a fresh start; nothing when another one, or none, is there.

    Raises DrlsError for a table of that name which DRLS did not make.
    """
    location = separate_location(environment, table)
    found = load_if_exists(catalog, location.identifier) if location else None
    if location is None or found is None or str(found.metadata.table_uuid) != uuid:
        return
    if SEPARATE not in found.properties:
        raise DrlsError(
            f"table {location.name} is where DRLS keeps {environment}'s own copy of {table}, but DRLS did not "
            "create it; rename or drop it"
        )
    try:
        catalog.purge_table(location.identifier)
    except NoSuchTableError:
        return  # another process has opened the same session
