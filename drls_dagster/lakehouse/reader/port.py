"""The port `Tables` over an Iceberg catalog. Queries and statistics run in a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.table_files import FilesAsked, TableFiles
from lifecycle.domain.table_health import HealthLook, HealthReport, TableHealth
from lifecycle.domain.tables import (
    EVERY_COLUMN,
    ChangesAsked,
    ColumnPage,
    Point,
    QueryEngine,
    QueryRows,
    ReadLimits,
    SchemaFacts,
    SnapshotRow,
    StatisticsAsked,
    TableAt,
    TableChanges,
    TableDescription,
    TableRows,
    TableStatistics,
    TableSummary,
)
from lifecycle.errors import LifecycleError, Refused
from lifecycle.ports import Tables

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    Answering = Callable[
        [Settings, Catalog, str, Callable[[str], None], Environment | None, str | None, ReadLimits], QueryRows
    ]


class IcebergTables(Tables):
    """Keeps nothing but the catalog's connection, which is opened at the first call. `spark` answers queries for it."""

    def __init__(self, settings: Settings, spark: Answering | None = None) -> None:
        self._settings, self._spark = settings, spark

    def names(self) -> Sequence[str]:
        from drls_dagster.lakehouse.names import join_name
        from drls_dagster.lakehouse.tables import table_identifiers

        with self._catalog() as catalog:
            return sorted(join_name(identifier) for identifier in table_identifiers(catalog))

    def summaries(self, names: Sequence[str], environment: Environment | None = None) -> Sequence[TableSummary]:
        from drls_dagster.lakehouse.reader import describing

        with self._catalog() as catalog:
            return describing.summaries(catalog, list(names), environment)

    def describe(self, table: TableAt, real: str | None) -> TableDescription:
        from drls_dagster.lakehouse.reader import describing, finding

        with self._catalog() as catalog:
            return describing.describe(catalog, finding.find(catalog, table), real)

    def schema(self, table: TableAt, *, search: str, after: int, limit: int) -> SchemaFacts:
        from drls_dagster.lakehouse.reader import describing, finding

        with self._catalog() as catalog:
            return describing.schema(finding.find(catalog, table), search=search, after=after, limit=limit)

    def history(
        self, table: TableAt, ref: str | None, before: int | None, limit: int
    ) -> tuple[Sequence[SnapshotRow], bool]:
        from drls_dagster.lakehouse.reader import finding, history

        with self._catalog() as catalog:
            return history.snapshots(finding.find(catalog, table), ref, before, limit)

    def preview(
        self,
        table: TableAt,
        point: Point,
        columns: Sequence[str],
        limits: ReadLimits,
        page: ColumnPage = EVERY_COLUMN,
    ) -> TableRows:
        from drls_dagster.lakehouse.reader import finding, kept, preview

        with self._catalog() as catalog:
            pinned = finding.pin(finding.find(catalog, table), point)
            asked = "preview", kept.states_of([pinned]), tuple(columns), limits, page
            return kept.ROWS.get(asked, lambda: preview.preview(pinned, columns, limits, page))

    def query(
        self,
        sql: str,
        may: Callable[[str], None],
        environment: Environment | None,
        ref: str | None,
        limits: ReadLimits,
        engine: QueryEngine = QueryEngine.DUCKDB,
    ) -> QueryRows:
        from drls_dagster.lakehouse.reader.asking import query

        answering = query if engine is QueryEngine.DUCKDB else self._spark
        if answering is None:
            raise Refused("Spark answers no queries here; ask DuckDB")
        with self._catalog() as catalog:
            return answering(self._settings, catalog, sql, may, environment, ref, limits)

    def statistics(self, table: TableAt, point: Point, ask: StatisticsAsked, limits: ReadLimits) -> TableStatistics:
        from drls_dagster.lakehouse.reader import finding
        from drls_dagster.lakehouse.reader.asking import statistics

        with self._catalog() as catalog:
            return statistics(self._settings, finding.pin(finding.find(catalog, table), point), ask, limits)

    def files(self, table: TableAt, point: Point, asked: FilesAsked) -> TableFiles:
        from drls_dagster.lakehouse.reader import files, finding

        with self._catalog() as catalog:
            return files.files(finding.pin(finding.find(catalog, table), point), asked)

    def changes(self, table: TableAt, ask: ChangesAsked, limits: ReadLimits) -> TableChanges:
        from drls_dagster.lakehouse.reader import finding
        from drls_dagster.lakehouse.reader.asking import changes

        with self._catalog() as catalog:
            pinned = finding.pin(finding.find(catalog, table), Point(snapshot=ask.until, ref=ask.ref))
            return changes(self._settings, pinned, ask, limits)

    def health(self, table: TableAt, *, orphans: bool = False) -> HealthReport:
        from drls_dagster.lakehouse.health.kept import health
        from drls_dagster.lakehouse.reader import finding

        with self._catalog() as catalog:
            found = finding.find(catalog, table)
            return health(self._settings, found.name, found.table, found.ref, count_orphans=orphans)

    def healths(self, names: Sequence[str]) -> Sequence[TableHealth]:
        from drls_dagster.lakehouse.health.fleet import healths
        from drls_dagster.lakehouse.names import split_name

        with self._catalog() as catalog:
            return healths(self._settings, catalog, {name: split_name(name) for name in names})

    def health_history(self, name: str, before: float | None, limit: int) -> Sequence[HealthLook]:
        from drls_dagster.lakehouse.health.kept import health_history
        from drls_dagster.lakehouse.reader import finding

        found = health_history(self._settings, name, before, limit)
        if not found and before is None:
            with self._catalog() as catalog:
                finding.find(catalog, TableAt(name=name))  # raises NotFound for one that is not there
        return found

    @contextmanager
    def _catalog(self) -> Iterator[Catalog]:
        try:
            with catalog_errors(resolve_catalog(self._settings)):
                yield load_catalog(self._settings)
        except LifecycleError:
            raise
        except DrlsError as error:
            raise Refused(error.message) from error.__cause__
