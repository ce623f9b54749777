"""Looks that are kept: the last one, so that only tables that changed are read again, and the history of scores."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.health.looking import look, own_ref
from drls_dagster.lakehouse.naming import MAIN
from drls_dagster.ledger import open_ledger
from drls_dagster.ledger.health import NewLook
from drls_dagster.settings import Settings
from lifecycle.domain.table_health import COMMANDS, HealthLook, HealthReport, health_look

if TYPE_CHECKING:
    from pyiceberg.table import Table

_AGAIN = 60.0  # seconds
_MOST = 500
_kept: OrderedDict[tuple[Path, str], NewLook] = OrderedDict()
_line = threading.Lock()
_MEASURED = 1  # raise it when the same files give other numbers


def health(settings: Settings, name: str, table: Table, ref: str, *, count_orphans: bool = False) -> HealthReport:
    """The health of a table now; kept where `ref` is what the table is at for its owner, and orphans were not asked."""
    own = own_ref(name, table)
    ref = own if ref == MAIN else ref
    found = look(name, table, ref, settings.maintenance, count_orphans=count_orphans)
    if ref == own and not count_orphans:
        keep(settings, [(table.metadata_location, found, now())])
    return found


def now() -> float:
    """The time of a look, to a microsecond, as times are written."""
    return round(time.time(), 6)


def keep(settings: Settings, found: Sequence[tuple[str, HealthReport, float]]) -> None:
    """Keeps reports, each with the place of the metadata that it is of, and the time of the look."""
    if found:
        rules = rules_of(settings)
        looks = [_new(state, rules, report, at) for state, report, at in found]
        news = [one for one in looks if _is_news(settings.home, one)]
        if news:
            open_ledger(settings).keep_looks(news, settings.maintenance.history_days)
            _note(settings.home, news)


def _is_news(home: Path, look: NewLook) -> bool:
    """Whether this process has not kept the same within the last minute: then it would write the time alone."""
    with _line:
        known = _kept.get((home, look.table))
    return known is None or known._replace(at=look.at) != look or not 0 <= look.at - known.at < _AGAIN


def _note(home: Path, looks: Sequence[NewLook]) -> None:
    with _line:
        for look in looks:
            _kept[home, look.table] = look
            _kept.move_to_end((home, look.table))
        while len(_kept) > _MOST:
            _kept.popitem(last=False)


def health_history(settings: Settings, name: str, before: float | None, limit: int) -> Sequence[HealthLook]:
    rows = open_ledger(settings).health_history(name, before, limit)
    return [HealthLook.model_validate({**look, "at": datetime.fromtimestamp(at, UTC)}) for at, look in rows]


def rules_of(settings: Settings) -> str:
    """What a look depends on besides the table: by other rules, a kept look says nothing."""
    kept = settings.maintenance
    said = [_MEASURED, kept.health.model_dump(), kept.storage_price, kept.currency, sorted(COMMANDS.items())]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _new(state: str, rules: str, report: HealthReport, at: float) -> NewLook:
    kept = health_look(report, datetime.now(UTC)).model_dump(mode="json", exclude={"at"})
    mark = json.dumps([report.score, kept["points"]], sort_keys=True)
    return NewLook(report.name, state, rules, at, report.model_dump(mode="json"), kept, mark)
