"""The health of many tables: what did not change since the last look is not read again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.catalog import catalog_locations
from drls_dagster.lakehouse.health.kept import keep, now, rules_of
from drls_dagster.lakehouse.health.looking import look, own_ref
from drls_dagster.lakehouse.locating import load_if_exists
from drls_dagster.lakehouse.storage_words import in_words
from drls_dagster.ledger import open_ledger
from drls_dagster.ledger.health import KeptLook
from drls_dagster.settings import Settings
from lifecycle.domain.table_health import HealthReport, TableHealth, health_line
from lifecycle.outages import is_defect

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

SECONDS = 30.0
_AT_ONCE = 50  # looks that are kept together


def healths(
    settings: Settings, catalog: Catalog, names: Mapping[str, tuple[str, ...]], seconds: float = SECONDS
) -> list[TableHealth]:
    """Of each table, by name; `names` says where it is. A table that cannot be read has its error.

    After so many seconds the others are as they were at the last look, or say that nobody has looked yet.
    """
    until = time.monotonic() + seconds
    kept, rules = open_ledger(settings).kept_looks(), rules_of(settings)
    places = catalog_locations(settings)
    found: list[TableHealth] = []
    fresh: list[tuple[str, HealthReport, float]] = []
    for name, identifier in names.items():
        before = kept.get(name)
        if before is not None and before.rules != rules:
            before = None
        place = places.get(".".join(identifier)) if places is not None else None
        if before is not None and place == before.state:
            found.append(_kept(before))
            continue
        if time.monotonic() > until:
            found.append(_kept(before) if before else TableHealth(name=name, score=None, error="not looked at yet"))
            continue
        one = _look(settings, catalog, name, identifier, before)
        if isinstance(one, tuple):
            fresh.append(one)
            found.append(health_line(one[1], datetime.fromtimestamp(one[2], UTC)))
        elif one is not None:
            found.append(one)
        if len(fresh) >= _AT_ONCE:
            keep(settings, fresh)
            fresh.clear()
    keep(settings, fresh)
    return found


def _look(
    settings: Settings, catalog: Catalog, name: str, identifier: tuple[str, ...], before: KeptLook | None
) -> tuple[str, HealthReport, float] | TableHealth | None:
    """A new look with the metadata that it is of, the kept one where nothing changed; None for a table that is gone."""
    try:
        table = load_if_exists(catalog, identifier)
        if table is None:
            return None
        if before is not None and before.state == table.metadata_location:
            return _kept(before)
        return table.metadata_location, look(name, table, own_ref(name, table), settings.maintenance), now()
    except Exception as error:
        if is_defect(error):
            raise
        # One broken table must not hide the others.
        return TableHealth(name=name, score=None, error=in_words(error))


def _kept(one: KeptLook) -> TableHealth:
    return health_line(HealthReport.model_validate(one.report), datetime.fromtimestamp(one.at, UTC))
