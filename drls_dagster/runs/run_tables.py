"""The platform's catalog, for one run and within its policy: what the run service answers about tables."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog, metadata_location
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.lakehouse.namespaces import ensure_namespace
from drls_dagster.runs.run_files import is_local
from drls_dagster.runs.table_policy import TablePolicy
from drls_dagster.runs.table_words import FileContent, Name, TableState, answering, expected
from drls_dagster.settings import Settings
from lifecycle.errors import Forbidden, Invalid

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata


@dataclass(frozen=True)
class RunTables:
    """What a run may ask of tables, answered from the platform's catalog.

    Raises Forbidden for what the policy does not allow, and CatalogFailed or CatalogFault without a credential.
    """

    settings: Settings
    policy: TablePolicy
    catalog: Callable[[], Catalog]

    @classmethod
    def of(cls, settings: Settings, policy: TablePolicy) -> RunTables:
        """Those of the home's catalog."""
        return cls(settings, policy, lambda: load_catalog(settings))

    @answering
    def load_table(self, table: Name) -> TableState:
        """Any table, as all who may run a pipeline may read them."""
        with self._open() as catalog:
            location = metadata_location(catalog, _named(table))
            if location is not None and is_local(location):
                return TableState(metadata_location=location)  # the run reads it once, and nobody else
            return state_of(catalog.load_table(table))

    @answering
    def create_namespace(self, namespace: Name) -> None:
        self.policy.may_use_namespace(namespace)
        with self._open() as catalog:
            ensure_namespace(catalog, namespace)

    @answering
    def create_table(
        self, table: Name, columns: str, partition_spec: str, sort_order: str, properties: Mapping[str, str]
    ) -> TableState:
        from pyiceberg.partitioning import PartitionSpec
        from pyiceberg.schema import Schema
        from pyiceberg.table.sorting import SortOrder

        with self._open() as catalog:
            self.policy.may_create(_named(table), properties, catalog.load_table)
            made = catalog.create_table(
                table,
                Schema.model_validate_json(columns),
                partition_spec=PartitionSpec.model_validate_json(partition_spec),
                sort_order=SortOrder.model_validate_json(sort_order),
                properties=dict(properties),
            )
            return state_of(made)

    @answering
    def commit_table(self, commit: str) -> TableState:
        from pyiceberg.table import CommitTableRequest

        wanted = CommitTableRequest.model_validate_json(commit)
        name = _named((*wanted.identifier.namespace.root, wanted.identifier.name))
        with self._open() as catalog:
            if not self.policy.needs_table(wanted.updates):
                self.policy.may_commit(name, wanted.updates, None)
                done = catalog.commit_table(_by_name(catalog, name), wanted.requirements, wanted.updates)
                return _state(done.metadata, done.metadata_location)
            table = catalog.load_table(name)
            self.policy.may_commit(name, wanted.updates, table)
            # With all that PyIceberg does around a commit, such as deleting metadata files that are too old.
            table._do_commit(wanted.updates, (*wanted.requirements, *_unchanged(table)))
            return state_of(table)

    @answering
    def read_metadata(self, table: Name, location: str) -> FileContent:
        """A metadata or manifest file, from storage that the run has no credential for."""
        if is_local(location):
            raise Forbidden("a run reads the files of this machine itself, as far as it may")
        with self._open() as catalog:
            found = catalog.load_table(_named(table))
            folder = f"{found.location().rstrip('/')}/metadata/"
            if not location.startswith(folder) or ".." in location or not location.endswith((".json", ".avro")):
                raise Forbidden(f"{location} is not a metadata file of {'.'.join(table)}")
            with found.io.new_input(location).open() as file:
                return FileContent(content=b64encode(file.read()).decode())

    @contextmanager
    def _open(self) -> Iterator[Catalog]:
        kept: Exception | None = None
        with catalog_errors(resolve_catalog(self.settings)):
            try:
                yield self.catalog()
            except expected() as error:
                kept = error
        if kept is not None:
            raise kept


def state_of(table: Table) -> TableState:
    return _state(table.metadata, table.metadata_location)


def _state(metadata: TableMetadata, location: str) -> TableState:
    return TableState(metadata_location=location, metadata=None if is_local(location) else metadata.model_dump_json())


def _unchanged(table: Table) -> tuple[Any, ...]:
    """What the policy has looked at is what the commit begins from."""
    from pyiceberg.table.update import AssertCurrentSchemaId, AssertTableUUID

    return (
        AssertTableUUID(uuid=table.metadata.table_uuid),
        AssertCurrentSchemaId.model_validate({"current-schema-id": table.metadata.current_schema_id}),
    )


def _by_name(catalog: Catalog, name: Name) -> Table:
    """A table of which only the name counts: the catalog loads it when it commits."""
    from pyiceberg.io import load_file_io
    from pyiceberg.table import Table

    return Table(name, _no_metadata(), "", load_file_io(), catalog)


@cache
def _no_metadata() -> TableMetadata:
    from pyiceberg.catalog import MetastoreCatalog

    return MetastoreCatalog._empty_table_metadata()


def _named(table: Name) -> Name:
    if len(table) < 2 or not all(table):
        raise Invalid(f"{'.'.join(table)!r} is not the name of a table")
    return table
