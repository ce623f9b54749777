"""The data plane over an Iceberg catalog: the facts and moves that the lifecycle asks for, without an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import column_removal, locating, refs, releases, seal, separate, sessions
from drls_dagster.lakehouse.catalog import CatalogFailed, CatalogFault, catalog_errors, load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog, warehouse_folder
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.lakehouse.fingerprints import fingerprints
from drls_dagster.lakehouse.history import descends_from, snapshots_between
from drls_dagster.lakehouse.known_tables import KnownTables
from drls_dagster.lakehouse.layout import format_change, is_listed, wanted_changes
from drls_dagster.lakehouse.naming import MAIN, is_environments_own, table_location
from drls_dagster.lakehouse.position_plan import planned_positions
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import Settings
from lifecycle.domain.data_diff import DataDiff, DiffLimits, RowKey, Side, Watch
from lifecycle.domain.environment import Environment
from lifecycle.domain.facts import SnapshotFacts, TableFacts
from lifecycle.domain.plan import PositionPlan
from lifecycle.domain.seal import Altered, Digests, SealedFile, SealedFiles
from lifecycle.errors import Conflict, LifecycleError, Refused, one_line
from lifecycle.outages import is_defect, is_outage
from lifecycle.ports import DataPlane, Move, MoveResult
from lifecycle.spec import PipelineSpec

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


__all__ = ["CannotCompare", "CatalogFailed", "CatalogFault", "IcebergDataPlane"]


class CannotCompare(LifecycleError):
    """Data of a snapshot cannot be read or compared; one line, without credentials."""

    status = 502
    code = "data"


class IcebergDataPlane(DataPlane):
    """Tables are named `namespace.table` as a pipeline names them; where they are is `lakehouse.locating.find`.

    Every call opens what it needs and keeps nothing but the catalog's connection, which is opened at the first.
    Raises CatalogFailed (an outage), CatalogFault (something is wrong in the catalog), Conflict (others were faster)
    or Refused; nothing but the call's own commit has happened then, or not even that.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sealing = seal.Sealing()
        self._watcher = seal.Watcher()
        self._look: locating.OneLook | None = None
        self._thorough = True

    def one_look(self, *, thorough: bool = True) -> IcebergDataPlane:
        """For a promotion, which asks about the same tables in a dozen calls."""
        looking = copy(self)
        looking._look = locating.OneLook()
        looking._thorough = thorough
        return looking

    def table(self, table: str, environment: Environment) -> TableFacts:
        with self._reading() as catalog:
            look = locating.look_at(catalog, environment, table)
            if look.table is None:
                return TableFacts(table=table, uuid=None, head=None)
            return TableFacts(
                table=table,
                uuid=str(look.table.metadata.table_uuid),
                head=look.read,
                separate=look.table.properties.get(separate.SEPARATE),
            )

    def snapshots(
        self, table: str, environment: Environment, head: int | None, until: int | None
    ) -> Sequence[SnapshotFacts]:
        with self._reading() as catalog:
            _, found = locating.find(catalog, environment, table)
            return () if found is None else snapshots_between(found, head, until)

    def is_on_main(self, table: str, snapshot: int) -> bool:
        if is_environments_own(table):
            return False
        with self._reading() as catalog:
            found = locating.load_if_exists(catalog, table_location(Environment.PRODUCTION, table).identifier)
            return found is not None and descends_from(found, refs.head(found, MAIN), snapshot)

    def metadata_changes(self, spec: str, environment: Environment) -> Mapping[str, Sequence[str]]:
        if environment is not Environment.PRODUCTION:
            return {}
        changes: dict[str, Sequence[str]] = {}
        with self._reading() as catalog:
            for sink in _spec(spec).sinks:
                found = locating.load_if_exists(catalog, table_location(Environment.PRODUCTION, sink.table).identifier)
                wanted = wanted_changes(found.metadata, sink) if found is not None else ()
                changes[sink.table] = tuple(format_change(change) for change in wanted if is_listed(change))
        return changes

    def fingerprints(self, spec: str, environment: Environment) -> Mapping[str, str]:
        return fingerprints(_spec(spec), self._settings, environment)

    def positions(self, spec: str, source: Environment, target: Environment) -> Sequence[PositionPlan]:
        with self._reading() as catalog:
            return planned_positions(catalog, open_ledger(self._settings), _spec(spec), source, target)

    def drop_columns(self, table: str, columns: Sequence[str]) -> Sequence[str]:
        with self._catalog() as catalog:
            return column_removal.drop_columns(catalog, table, columns)

    def open_session(
        self, environment: Environment, tables: Sequence[str], seen: Mapping[str, TableFacts] | None = None
    ) -> Mapping[str, int | None]:
        facts = {name: (one.uuid, one.head) for name, one in (seen or {}).items()}
        with self._catalog() as catalog:
            return {table: sessions.start_fresh(catalog, environment, table, facts.get(table)) for table in tables}

    def pin(self, table: str, environment: Environment, snapshot: int, tag: str) -> None:
        with self._catalog() as catalog:
            sessions.pin(catalog, environment, table, snapshot, tag)

    def unpin(self, table: str, environment: Environment, tag: str) -> None:
        with self._catalog() as catalog:
            sessions.unpin(catalog, environment, table, tag)

    def move(self, move: Move, environment: Environment) -> MoveResult:
        with self._catalog() as catalog:
            return releases.move(catalog, locating.locate(catalog, environment, move.table).identifier, move)

    def undo(self, move: Move, environment: Environment) -> bool:
        with self._catalog() as catalog:
            return releases.undo(catalog, locating.locate(catalog, environment, move.table).identifier, move)

    def compare(
        self, table: str, before: Side, after: Side, keys: Sequence[RowKey], limits: DiffLimits, watch: Watch
    ) -> DataDiff:
        # DuckDB is loaded by whoever compares, not by every run.
        from drls_dagster.lakehouse import diff

        with self._catalog() as catalog:
            old, new = (diff.find_version(catalog, table, side) for side in (before, after))
        with self._comparing(table):
            return diff.compare(table, old, new, keys, limits, watch, memory=self._settings.data_diff.memory)

    def differing(self, table: str, environment: Environment, before: int, after: int) -> Sequence[str]:
        from drls_dagster.lakehouse import diff

        sides = [Side(environment=environment, snapshot=one) for one in (before, after)]
        with self._catalog() as catalog:
            old, new = (diff.find_version(catalog, table, side) for side in sides)
        with self._comparing(table):
            return diff.differing(old, new, memory=self._settings.data_diff.memory)

    @contextmanager
    def _comparing(self, table: str) -> Iterator[None]:
        try:
            yield
        except LifecycleError:
            raise
        except Exception as error:  # DuckDB, Arrow, each storage: all have errors of their own
            if is_defect(error):
                raise
            clean = resolve_catalog(self._settings).without_secrets(one_line(error))
            kind = CatalogFailed if is_outage(error) else CannotCompare
            raise kind(f"the two snapshots of {table} cannot be compared: {clean}") from error

    def seal(self, table: str, environment: Environment, base: int | None, candidate: int) -> SealedFiles:
        work = self._seal_of(table, environment, base, candidate)
        return self._sealing.result((f"{environment}:{table}", base, candidate), work)

    def sealed_now(self, table: str, environment: Environment, file: SealedFile) -> SealedFiles:
        with self._catalog() as catalog:
            _, found = locating.find(catalog, environment, table)
            if found is None:
                raise DrlsError(f"{table} is gone")
            return seal.sealed_now(found, file)

    def begin_sealing(self, table: str, environment: Environment, base: int | None, candidate: int) -> None:
        work = self._seal_of(table, environment, base, candidate)
        self._sealing.begin((f"{environment}:{table}", base, candidate), work)

    def _seal_of(
        self, table: str, environment: Environment, base: int | None, candidate: int
    ) -> Callable[[], SealedFiles]:
        def work() -> SealedFiles:
            with self._catalog() as catalog:
                _, found = locating.find(catalog, environment, table)
                if found is None:
                    raise DrlsError(f"{table} is gone")
                own = self._settings.fence.account is not None
                return seal.seal(found, base, candidate, root=warehouse_folder(self._settings), own=own)

        return work

    def altered(
        self,
        table: str,
        environment: Environment,
        sealed: Sequence[SealedFiles],
        digests: Digests,
        *,
        head: int | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> Sequence[Altered]:
        if not sealed:
            return ()
        with self._reading() as catalog:
            _, found = locating.find(catalog, environment, table)
            if found is None:
                return ()
            return self._watcher.altered(table, found, sealed, digests, head=head, alive=alive)

    @contextmanager
    def _reading(self) -> Iterator[locating.Loads]:
        with self._catalog() as catalog:
            loads = catalog if self._thorough else KnownTables(catalog)
            yield loads if self._look is None else self._look.at(loads)

    @contextmanager
    def _catalog(self) -> Iterator[Catalog]:
        try:
            with catalog_errors(resolve_catalog(self._settings)):
                # The same object in each call, and another one in a forked process.
                yield load_catalog(self._settings)
        except LifecycleError:
            raise
        except (CommitConflictError, refs.RefMoved) as error:
            raise Conflict(error.message) from error.__cause__
        except DrlsError as error:
            raise Refused(error.message) from error.__cause__


@lru_cache(maxsize=64)
def _spec(text: str) -> PipelineSpec:
    """The spec of a stored version, which was checked when it was saved."""
    return PipelineSpec.model_validate_json(text, by_alias=True, by_name=False)
