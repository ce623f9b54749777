"""The catalog as a run has it: what it asks of tables goes to the run service, and no credential is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pyiceberg.catalog import Catalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import CommitTableRequest, CommitTableResponse, Namespace, Table, TableIdentifier
from pyiceberg.table.metadata import TableMetadataUtil
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortOrder
from pyiceberg.typedef import EMPTY_DICT, Identifier, Properties

from drls_dagster.lakehouse.table_io import quote_no_metadata
from drls_dagster.runs.run_files import RunFiles
from drls_dagster.runs.table_words import Tables, TableState, said
from lifecycle.errors import Forbidden

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.io import FileIO
    from pyiceberg.schema import Schema
    from pyiceberg.table import CreateTableTransaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableRequirement, TableUpdate

    from drls_dagster.runs.client import RunClient


class RunCatalog(Catalog):
    """Loads, creates and commits tables through the run service, which says what this run may change.

    PyIceberg's own errors come back as they are. What a run never needs, such as dropping a table, is refused here.
    """

    def __init__(self, name: str, tables: Tables | RunClient) -> None:
        super().__init__(name)
        self._tables = tables
        quote_no_metadata()

    def load_table(self, identifier: str | Identifier) -> Table:
        """Raises NoSuchTableError."""
        name = self.identifier_to_tuple(identifier)
        return self.table_of(name, said(self._tables.load_table(name)))

    def table_exists(self, identifier: str | Identifier) -> bool:
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        try:
            self.load_table(identifier)
        except (NoSuchTableError, NoSuchNamespaceError):
            return False
        return True

    def create_namespace_if_not_exists(self, namespace: str | Identifier, properties: Properties = EMPTY_DICT) -> None:
        if properties:
            _refused("give a namespace properties")
        said(self._tables.create_namespace(self.identifier_to_tuple(namespace)))

    def create_namespace(self, namespace: str | Identifier, properties: Properties = EMPTY_DICT) -> None:
        self.create_namespace_if_not_exists(namespace, properties)

    def create_table(
        self,
        identifier: str | Identifier,
        schema: Schema | pa.Schema,
        location: str | None = None,
        partition_spec: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
        sort_order: SortOrder = UNSORTED_SORT_ORDER,
        properties: Properties = EMPTY_DICT,
    ) -> Table:
        """Raises TableAlreadyExistsError, and Forbidden for a table that this run does not write."""
        if location is not None:
            _refused("choose where a table's files are")
        name = self.identifier_to_tuple(identifier)
        made = self._tables.create_table(
            name,
            self._convert_schema_if_needed(schema).model_dump_json(),
            partition_spec.model_dump_json(),
            sort_order.model_dump_json(),
            {key: str(value) for key, value in properties.items()},
        )
        return self.table_of(name, said(made))

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Raises CommitFailedException where a requirement does not hold or others were faster, and Forbidden."""
        *namespace, name = table.name()
        wanted = CommitTableRequest(
            identifier=TableIdentifier(namespace=Namespace(namespace), name=name),
            requirements=requirements,
            updates=updates,
        )
        done = said(self._tables.commit_table(wanted.model_dump_json()))
        return CommitTableResponse.model_validate(
            {"metadata": _metadata(done), "metadata-location": done.metadata_location}
        )

    def table_of(self, identifier: Identifier, state: TableState) -> Table:
        """A table as the run service describes it."""
        return Table(
            identifier,
            metadata=_metadata(state),
            metadata_location=state.metadata_location,
            io=RunFiles(lambda location: said(self._tables.read_metadata(identifier, location)).content),
            catalog=self,
        )

    @staticmethod
    def _delete_old_metadata(io: FileIO, base: TableMetadata, metadata: TableMetadata) -> None:
        """The service has done so, with each commit that it made."""

    def supports_server_side_planning(self) -> bool:
        return False

    # What a run does not do

    def create_table_transaction(self, *given: Any, **named: Any) -> CreateTableTransaction:
        _refused("create a table in a transaction")

    def create_table_if_not_exists(self, *given: Any, **named: Any) -> Table:
        _refused("create a table without knowing whose it is")

    def register_table(self, *given: Any, **named: Any) -> Table:
        _refused("register a table")

    def drop_table(self, identifier: str | Identifier) -> None:
        _refused("drop a table")

    def purge_table(self, identifier: str | Identifier) -> None:
        _refused("drop a table")

    def rename_table(self, *given: Any, **named: Any) -> Table:
        _refused("rename a table")

    def drop_namespace(self, namespace: str | Identifier) -> None:
        _refused("drop a namespace")

    def namespace_exists(self, namespace: str | Identifier) -> bool:
        _refused("look namespaces up")

    def list_tables(self, namespace: str | Identifier) -> list[Identifier]:
        _refused("list tables")

    def list_namespaces(self, namespace: str | Identifier = ()) -> list[Identifier]:
        _refused("list namespaces")

    def load_namespace_properties(self, namespace: str | Identifier) -> Properties:
        _refused("look namespaces up")

    def update_namespace_properties(self, *given: Any, **named: Any) -> Any:
        _refused("give a namespace properties")

    def list_views(self, namespace: str | Identifier) -> list[Identifier]:
        _refused("list views")

    def load_view(self, identifier: str | Identifier) -> Any:
        _refused("load a view")

    def view_exists(self, identifier: str | Identifier) -> bool:
        _refused("look views up")

    def create_view(self, *given: Any, **named: Any) -> Any:
        _refused("create a view")

    def register_view(self, *given: Any, **named: Any) -> Any:
        _refused("register a view")

    def drop_view(self, identifier: str | Identifier) -> None:
        _refused("drop a view")


def _metadata(state: TableState) -> TableMetadata:
    if state.metadata is not None:
        return TableMetadataUtil.parse_raw(state.metadata)
    return FromInputFile.table_metadata(PyArrowFileIO().new_input(state.metadata_location))


def _refused(what: str) -> NoReturn:
    raise Forbidden(f"a run may not {what}; it loads, creates and changes the tables of its own sinks")
