"""`drls.tables()` and `drls.table(name)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, cast

from drls_dagster.errors import UsageError
from drls_dagster.notebooks.inside import is_inside
from drls_dagster.notebooks.inside import tables as inside_tables
from drls_dagster.python_api.asking import asked, environment_of
from drls_dagster.python_api.changes import Changes
from drls_dagster.python_api.maintaining import finished
from lifecycle.usecases.read_tables import TableInfo

if TYPE_CHECKING:
    from lifecycle.domain.environment import Environment
    from lifecycle.domain.evolution import SnapshotDiff, TableChange
    from lifecycle.domain.operations import CompactResult, ExpireResult, OrphanResult
    from lifecycle.domain.table_health import HealthReport
    from lifecycle.domain.tables import SchemaFacts, SnapshotRow, TableRows, TableStatistics
    from lifecycle.usecases.read_tables import TableDetail


def tables(namespace: str = "", search: str = "") -> tuple[TableInfo, ...]:
    """The tables that you may see, by name, with rows, files and size of their `main`; in a notebook, development's."""
    if is_inside():
        return tuple(TableInfo.model_validate(one) for one in inside_tables(namespace, search))
    with asked() as client:
        return client.tables.list(namespace=namespace, search=search)


def table(name: str, environment: str | None = None) -> Table:
    """A table by its exact name, `namespace.table`; with `environment`, by the name that pipelines use there.

    Asks nothing yet: a table that does not exist is an error of the first method that you call.
    """
    return Table(name, None if environment is None else environment_of(environment))


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

    def compact(
        self,
        strategy: Literal["binpack", "sort", "zorder"] = "binpack",
        columns: Sequence[str] = (),
        *,
        where: str = "",
        target_bytes: int | None = None,
        every_file: bool = False,
    ) -> CompactResult:
        """Rewrites small files and files with deletes, or (`every_file`) all, sorted by `columns` where you say so.

        Waits until it is done. Raises DrlsError where it cannot be done; the table is then as it was.
        """
        with asked() as client:
            started = client.maintenance.compact(
                self.name,
                environment=self.environment,
                ref=self.ref,
                strategy=strategy,
                columns=tuple(columns),
                where=where,
                target_bytes=target_bytes,
                every_file=every_file,
            )
            return cast("CompactResult", finished(client, started))

    def expire(self, retain_last: int | None = None, older_than: datetime | None = None) -> ExpireResult:
        """Removes old snapshots and the files that only they need; keeps what releases, sessions and readers need.

        Without arguments, the table's own properties (`history.expire.*`) say how much.
        """
        with asked() as client:
            started = client.maintenance.expire(
                self.name, environment=self.environment, retain_last=retain_last, older_than=older_than
            )
            return cast("ExpireResult", finished(client, started))

    def orphans(self, older_than_hours: float = 72, *, remove: bool = False) -> OrphanResult:
        """Lists files in the table's folder that no metadata names; with `remove`, removes them."""
        with asked() as client:
            started = client.maintenance.orphans(
                self.name, environment=self.environment, older_than_hours=older_than_hours, dry_run=not remove
            )
            return cast("OrphanResult", finished(client, started))

    def diff(self, before: int | str | None = None, after: int | str | None = None) -> SnapshotDiff:
        """What differs between two snapshots or refs; by default, the newest snapshot and the one before it."""
        with asked() as client:
            return client.evolution.diff(
                self.name,
                environment=self.environment,
                before=None if before is None else str(before),
                after=None if after is None else str(after),
            )

    def rollback(self, to: int | str, reason: str = "") -> TableChange:
        """Puts `main`, or the ref that `at` named, back to an ancestor of its head."""
        with asked() as client:
            return client.evolution.rollback(
                self.name, environment=self.environment, ref=self.ref or "main", to=str(to), reason=reason
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
