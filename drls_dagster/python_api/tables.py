"""`drls.tables()` and `drls.table(name)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.python_api.asking import asked
from drls_dagster.python_api.changes import Changes
from lifecycle.domain.environment import Environment
from lifecycle.usecases.read_tables import TableInfo

if TYPE_CHECKING:
    from lifecycle.domain.table_health import HealthReport
    from lifecycle.domain.tables import SchemaFacts, SnapshotRow, TableRows, TableStatistics
    from lifecycle.usecases.read_tables import TableDetail


def tables(namespace: str = "", search: str = "") -> tuple[TableInfo, ...]:
    """The tables that you may see, by name, with rows, files and size of their `main`."""
    with asked() as client:
        return client.tables.list(namespace=namespace, search=search)


def table(name: str, environment: str | None = None) -> Table:
    """A table by its exact name, `namespace.table`; with `environment`, by the name that pipelines use there.

    Asks nothing yet: a table that does not exist is an error of the first method that you call.
    """
    try:
        where = Environment(environment) if environment is not None else None
    except ValueError:
        known = ", ".join(one.value for one in Environment)
        raise UsageError(f"there is no environment {environment!r}; name one of: {known}") from None
    return Table(name, where)


@dataclass(frozen=True)
class Table:
    """A table, read as it is now or at a point (`at`). Nothing is kept: each call asks again."""

    name: str
    environment: Environment | None = None
    snapshot: int | None = None
    ref: str | None = None
    time: datetime | None = None

    def at(self, snapshot: int | None = None, *, ref: str | None = None, time: datetime | None = None) -> Table:
        """The table at a snapshot, at a branch or tag, or as it was at a time (with a time zone)."""
        if sum(one is not None for one in (snapshot, ref, time)) != 1:
            raise UsageError("name one point: a snapshot, a ref or a time")
        return replace(self, snapshot=snapshot, ref=ref, time=time)

    def show(self) -> TableDetail:
        """Layout, properties, refs, sizes, what each environment reads, and which pipelines use the table."""
        with asked() as client:
            return client.tables.show(self.name, environment=self.environment)

    def schema(self, search: str = "") -> SchemaFacts:
        """The newest columns with nested fields and docs; `search` finds some by name."""
        with asked() as client:
            return client.tables.schema(self.name, environment=self.environment, search=search, most=10_000)

    def history(self, limit: int = 100) -> tuple[SnapshotRow, ...]:
        """Snapshots, newest first; of the ref only, where `at` named one."""
        with asked() as client:
            return client.tables.history(self.name, environment=self.environment, ref=self.ref, limit=limit)

    def health(self) -> HealthReport:
        """How the table's files are, from metadata alone, and what to do about it."""
        with asked() as client:
            return client.tables.health(self.name, environment=self.environment)

    def preview(self, rows: int = 20, columns: Sequence[str] = ()) -> TableRows:
        """The first rows, with values as JSON has them."""
        with asked() as client:
            return client.tables.preview(
                self.name,
                environment=self.environment,
                snapshot=self.snapshot,
                ref=self.ref,
                at=self.time,
                columns=tuple(columns),
                rows=rows,
            )

    def statistics(self, columns: Sequence[str] = ()) -> TableStatistics:
        """Nulls, NaNs, smallest, largest, distinct and most frequent values of columns. Reads the table."""
        with asked() as client:
            return client.tables.statistics(
                self.name,
                environment=self.environment,
                snapshot=self.snapshot,
                ref=self.ref,
                at=self.time,
                columns=tuple(columns),
            )

    def changes(
        self,
        since: int | None = None,
        until: int | None = None,
        *,
        keys: Sequence[str] = (),
        columns: Sequence[str] = (),
    ) -> Changes:
        """What changed behind the snapshot `since` (None: from the first on) up to `until`, or to the newest one.

        With `keys`, the columns that identify a row, an update is a row before and a row after; without, it is a delete
        and an insert. No change is read yet.
        """
        end = until
        if end is None:
            with asked() as client:
                end = client.tables.preview(
                    self.name,
                    environment=self.environment,
                    snapshot=self.snapshot,
                    ref=self.ref,
                    at=self.time,
                    rows=1,
                ).snapshot
        return Changes(self.name, self.environment, since, end, tuple(keys), tuple(columns))
