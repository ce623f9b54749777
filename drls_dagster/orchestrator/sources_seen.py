"""What a run read, from the pins in the ledger: the layer of the sources' kinds is above this one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from drls_dagster.errors import DrlsError
from drls_dagster.ledger import About, Ledger
from drls_dagster.settings import Settings
from lifecycle.domain.run_facts import SourceSeen

_MOST_FILES = 5_000
_MOST_TABLES = 10


def sources_seen(settings: Settings, ledger: Ledger, run_id: str) -> dict[str, SourceSeen]:
    """By node."""
    columns = ledger.told(run_id, About.COLUMNS)
    found: dict[str, SourceSeen] = {}
    tables = 0
    for node, pin in sorted(ledger.pins_of(run_id).items()):
        rows = None
        if "table" in pin and tables < _MOST_TABLES:
            tables += 1
            rows = _rows_of(settings, pin)
        found[node] = SourceSeen(
            what=_what(pin),
            files={str(one[0]): f"{one[1]} bytes, {one[2]}" for one in pin.get("files", ())[:_MOST_FILES]},
            rows=rows,
            columns={str(name): str(kind) for name, kind in columns.get(node, ())},
        )
    return found


def _what(pin: Mapping[str, Any]) -> str:
    if "table" in pin:
        return f"{pin['table']} at snapshot {pin['snapshot']}"
    if "files" in pin:
        return f"{len(pin['files'])} file(s), {sum(one[1] for one in pin['files']):,} bytes"
    return ", ".join(f"{name} {value}" for name, value in pin.items())


def _rows_of(settings: Settings, pin: Mapping[str, Any]) -> int | None:
    """How many rows the pinned snapshot has; None where it has expired, or the catalog does not answer."""
    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.lakehouse.locating import load_if_exists
    from drls_dagster.lakehouse.refs import summary

    if pin["snapshot"] is None:
        return 0
    with suppress(DrlsError):
        table = load_if_exists(load_catalog(settings), tuple(str(pin["table"]).split(".")))
        snapshot = table.snapshot_by_id(int(pin["snapshot"])) if table is not None else None
        total = summary(snapshot).get("total-records") if snapshot is not None else None
        return None if total is None else int(total)
    return None
