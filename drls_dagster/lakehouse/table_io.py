"""How a table's files are opened: as the settings say, whatever the table's own properties say.

PyIceberg mixes a table's properties into those of its catalog. Whoever writes a table could so name a class for this
process to import (`py-io-impl`), or send it, with its credentials, to another server (`s3.endpoint`).

Whoever can write the catalog also says where a table's metadata is: this process may read more files than they may, and
what it says of a file that is no metadata must quote nothing of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO
    from pyiceberg.table.metadata import TableMetadata

_CLASS = re.compile(r"py-io-impl|io-impl")
_STORAGE = re.compile(rf"(?:{_CLASS.pattern}|(?:s3|gcs|adls|hdfs|hf|client)\..*)")


_REMEDY = "restore it from a backup, or drop the table from the catalog"


def quote_no_metadata() -> None:
    """From now on an error about a table's metadata file has nothing of its content in it."""
    from pyiceberg.exceptions import ValidationError
    from pyiceberg.table.metadata import TableMetadataUtil, TableMetadataWrapper

    def parse_raw(data: str) -> TableMetadata:
        try:
            return TableMetadataWrapper.model_validate_json(data).root
        except Exception as error:  # noqa: BLE001  whatever a validator makes of somebody's file
            what = type(error).__name__
        # Not within the handler: an error keeps the one that was being handled, and Dagster shows both.
        raise ValidationError(f"a table's metadata file is not one of Iceberg's ({what}); {_REMEDY}")

    TableMetadataUtil.parse_raw = staticmethod(parse_raw)  # pyright: ignore[reportAttributeAccessIssue]


def opened_by_settings(catalog: Catalog) -> Catalog:
    """The catalog, whose tables say nothing of how their files are opened.

    Nor which files go with a commit: of the earlier metadata files that a table names, such that are called so.

    A REST catalog gives out credentials for a table among the same properties, so that there only classes are left out.
    """
    from pyiceberg.catalog.rest import RestCatalog

    quote_no_metadata()
    left_out = _CLASS if isinstance(catalog, RestCatalog) else _STORAGE
    load = catalog._load_file_io

    def load_file_io(properties: Mapping[str, str] | None = None, location: str | None = None) -> FileIO:
        kept = {name: value for name, value in (properties or {}).items() if not left_out.fullmatch(name)}
        return load(kept, location)

    catalog._load_file_io = load_file_io  # pyright: ignore[reportAttributeAccessIssue]
    delete = catalog._delete_old_metadata

    def delete_old_metadata(io: FileIO, base: TableMetadata, metadata: TableMetadata) -> None:
        own = [one for one in base.metadata_log if one.metadata_file.endswith(".metadata.json")]
        delete(io, base.model_copy(update={"metadata_log": own}), metadata)

    catalog._delete_old_metadata = delete_old_metadata  # pyright: ignore[reportAttributeAccessIssue]
    return catalog
