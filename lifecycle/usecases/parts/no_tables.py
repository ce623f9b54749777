"""Where no catalog is connected: reading tables is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

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
from lifecycle.errors import Refused
from lifecycle.ports import Tables


class NoTables(Tables):
    """Says that there is no catalog; it pretends nothing."""

    def names(self) -> Sequence[str]:
        _refuse()

    def summaries(self, names: Sequence[str], environment: Environment | None = None) -> Sequence[TableSummary]:
        _refuse()

    def describe(self, table: TableAt, real: str | None) -> TableDescription:
        _refuse()

    def schema(self, table: TableAt, *, search: str, after: int, limit: int) -> SchemaFacts:
        _refuse()

    def history(
        self, table: TableAt, ref: str | None, before: int | None, limit: int
    ) -> tuple[Sequence[SnapshotRow], bool]:
        _refuse()

    def preview(
        self,
        table: TableAt,
        point: Point,
        columns: Sequence[str],
        limits: ReadLimits,
        page: ColumnPage = EVERY_COLUMN,
    ) -> TableRows:
        _refuse()

    def query(
        self,
        sql: str,
        may: Callable[[str], None],
        environment: Environment | None,
        ref: str | None,
        limits: ReadLimits,
        engine: QueryEngine = QueryEngine.DUCKDB,
    ) -> QueryRows:
        _refuse()

    def statistics(self, table: TableAt, point: Point, ask: StatisticsAsked, limits: ReadLimits) -> TableStatistics:
        _refuse()

    def files(self, table: TableAt, point: Point, asked: FilesAsked) -> TableFiles:
        _refuse()

    def changes(self, table: TableAt, ask: ChangesAsked, limits: ReadLimits) -> TableChanges:
        _refuse()

    def health(self, table: TableAt, *, orphans: bool = False) -> HealthReport:
        _refuse()

    def healths(self, names: Sequence[str]) -> Sequence[TableHealth]:
        _refuse()

    def health_history(self, name: str, before: float | None, limit: int) -> Sequence[HealthLook]:
        _refuse()


def _refuse() -> NoReturn:
    raise Refused("no table catalog is connected to this DRLS")
