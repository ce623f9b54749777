"""Queries and statistics: rights and snapshots are decided here, the reading is a worker's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.names import split_name
from drls_dagster.lakehouse.reader.finding import Pinned, find, pin
from drls_dagster.lakehouse.reader.kept import ROWS, states_of
from drls_dagster.lakehouse.reader.preview import chosen
from drls_dagster.lakehouse.reader.sql.execute import TooLong, TooMuch, too_long, too_much
from drls_dagster.lakehouse.reader.sql.workers import Worker, WorkerGone, workers
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.tables import (
    ChangesAsked,
    ColumnStatistics,
    Point,
    QueryRows,
    ReadFrom,
    ReadLimits,
    ReadTable,
    StatisticsAsked,
    TableAt,
    TableChanges,
    TableStatistics,
)
from lifecycle.errors import Invalid, LifecycleError, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.types import NestedField

_PARSING_SECONDS = 10.0
_GRACE_SECONDS = 3.0  # a worker that does not stop its query itself is killed
_MOST_TABLES = 50
_STATISTICS_ROWS = 5_000_000
_ERRORS: dict[str, type[LifecycleError]] = {
    **{one.__name__: one for one in (Invalid, NotFound, Unavailable, TooLong, TooMuch)},
    "ChangesUnreadable": Refused,
    "UsageError": Invalid,
}


class CannotRead(LifecycleError):
    """Data of a table cannot be read; one line, without credentials."""

    status = 502
    code = "data"


def query(
    settings: Settings,
    catalog: Catalog,
    sql: str,
    may: Callable[[str], None],
    environment: Environment | None,
    ref: str | None,
    limits: ReadLimits,
) -> QueryRows:
    """Raises Invalid for what is no SELECT, whatever `may` raises, NotFound for a table or ref that is not there."""

    def known() -> QueryRows | None:
        # Of a statement that was read before and answers the same for the same tables.
        names = ROWS.find(("names", sql))
        if not isinstance(names, _Names):
            return None
        rows = ROWS.find(_asked(sql, pinned(catalog, names.tables, may, environment, ref), limits))
        return rows if isinstance(rows, QueryRows) else None

    if (rows := known()) is not None:
        return rows
    asking = Asking(settings, limits)
    with workers().one(asking.memory) as worker:
        # Whoever asked the same may have been answered while this one waited for its turn.
        if (rows := known()) is not None:
            return rows
        read = asking.read(worker, sql)
        pins = pinned(catalog, read["tables"], may, environment, ref)
        answer = asking.ask(worker, asking.selecting(pins), asking.seconds)
    answer.pop("files")
    found = answered(answer, pins)
    if read["same"]:
        ROWS.keep(("names", sql), _Names(tables=tuple(read["tables"])))
        ROWS.keep(_asked(sql, pins, limits), found)
    return found


class _Names(Frozen):
    """The tables that a statement names."""

    tables: tuple[str, ...]


def _asked(sql: str, pins: Mapping[str, Pinned], limits: ReadLimits) -> Hashable:
    return "query", sql, states_of(pins.values()), limits


def answered(answer: Mapping[str, Any], pins: Mapping[str, Pinned]) -> QueryRows:
    """What a worker answered to a SELECT."""
    read = tuple(ReadTable(name=one.name, snapshot=one.snapshot) for one in pins.values())
    return QueryRows.model_validate({**answer, "read": read})


def statistics(settings: Settings, pinned: Pinned, ask: StatisticsAsked, limits: ReadLimits) -> TableStatistics:
    """Of the columns that `ask` names; reads at most so many rows as statistics are worth."""
    fields = chosen(pinned, ask.columns).fields
    page = fields if ask.columns else fields[ask.after : ask.after + ask.most]
    answer = _from_files(pinned, page, limits.text) if ask.quick else None
    answer = answer or _from_rows(settings, pinned, page, ask, limits)
    more = not ask.columns and ask.after + len(page) < len(fields)
    return TableStatistics(
        name=pinned.name,
        snapshot=pinned.snapshot,
        rows=answer["rows"],
        columns=tuple(ColumnStatistics.model_validate(one) for one in answer["columns"]),
        columns_total=len(pinned.schema.fields),
        read_from=answer["read_from"],
        cut=answer["cut"],
        next=ask.after + len(page) if more else None,
    )


def _from_files(pinned: Pinned, page: Sequence[NestedField], text: int) -> dict[str, Any] | None:
    from drls_dagster.lakehouse.reader.file_statistics import from_files

    found = from_files(pinned.table, pinned.snapshot, page, text)
    return found and {"rows": found[0], "columns": found[1], "read_from": ReadFrom.METADATA, "cut": ""}


def _from_rows(
    settings: Settings, pinned: Pinned, page: Sequence[NestedField], ask: StatisticsAsked, limits: ReadLimits
) -> dict[str, Any]:
    asking = Asking(settings, limits)
    limited = {
        "columns": [one.name for one in page],
        "top": 0 if ask.quick else ask.top,
        "distinct": not ask.quick,
        "text": limits.text,
        "seconds": asking.seconds,
        "most_rows": _STATISTICS_ROWS,
    }
    with workers().one(asking.memory) as worker:
        request = {"do": "statistics", "pins": {"": _place(pinned)}, "limits": limited}
        return {**asking.ask(worker, request, asking.seconds), "read_from": ReadFrom.ROWS}


def changes(settings: Settings, pinned: Pinned, ask: ChangesAsked, limits: ReadLimits) -> TableChanges:
    """Up to the snapshot that is pinned. Raises Refused where a snapshot in between cannot be followed."""
    if pinned.snapshot is None:
        return TableChanges(name=pinned.name, since=ask.since, until=None, columns=(), rows=())
    asking = Asking(settings, limits)
    request = {
        "do": "changes",
        "pins": {"": _place(pinned)},
        "since": ask.since,
        "limits": {
            "keys": ask.keys,
            "columns": ask.columns,
            "skip": ask.skip,
            "rows": limits.rows,
            "most_bytes": limits.bytes,
            "text": limits.text,
        },
    }
    with workers().one(asking.memory) as worker:
        answer = asking.ask(worker, request, asking.seconds)
    return TableChanges.model_validate({**answer, "name": pinned.name, "since": ask.since, "until": pinned.snapshot})


def pinned(
    catalog: Catalog,
    names: Sequence[str],
    may: Callable[[str], None],
    environment: Environment | None,
    ref: str | None,
) -> dict[str, Pinned]:
    """Each table at the snapshot that will be read. All are asked for before one is looked for."""
    if len(names) > _MOST_TABLES:
        raise Invalid(f"the query names more than {_MOST_TABLES} tables")
    for name in names:
        may(name)
    found = {name: find(catalog, TableAt(name=name, environment=environment)) for name in names}
    return {name: pin(one, Point(ref=ref)) for name, one in found.items()}


def _place(pinned: Pinned) -> tuple[tuple[str, ...], int | None]:
    return split_name(pinned.name), pinned.snapshot


class Asking:
    """What a worker is asked with, and its refusals as errors."""

    def __init__(self, settings: Settings, limits: ReadLimits) -> None:
        self._settings, self._limits = settings, limits
        self.memory = settings.tables.query_memory
        self.seconds = min(limits.seconds, settings.tables.query_seconds)

    def tables(self, worker: Worker, sql: str) -> Sequence[str]:
        """The tables that a statement names; the worker keeps it. Raises Invalid for anything but one SELECT."""
        return self.read(worker, sql)["tables"]

    def read(self, worker: Worker, sql: str) -> dict[str, Any]:
        """The same as `tables`, and as `same` whether the statement answers the same for the same tables each time."""
        try:
            return self.ask(worker, {"do": "read", "sql": sql}, _PARSING_SECONDS)
        except TooLong:
            raise Invalid("the SQL takes too long to parse; write a simpler SELECT") from None

    def selecting(self, pins: Mapping[str, Pinned]) -> dict[str, Any]:
        """The request for the statement that was read just before."""
        limits = self._limits
        limited = {"rows": limits.rows, "most_bytes": limits.bytes, "text": limits.text, "seconds": self.seconds}
        return {"do": "select", "pins": {name: _place(one) for name, one in pins.items()}, "limits": limited}

    def ask(self, worker: Worker, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        try:
            answer = worker.ask({**request, "settings": self._settings}, seconds + _GRACE_SECONDS)
        except TimeoutError:
            worker.end()
            raise too_long(seconds) from None
        except WorkerGone:
            # Killed for its memory, by its own limit or by the system.
            worker.end()
            raise too_much(self.memory) from None
        if answer.pop("worn"):
            worker.end()
        if (kind := answer.get("failed")) is None:
            return answer
        if kind == "TooMuch":
            raise too_much(self.memory)
        raise _ERRORS.get(kind, CannotRead)(answer["message"])
