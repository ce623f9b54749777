"""How a table's files are opened: as the settings say, whatever the table's own properties say.

PyIceberg mixes a table's properties into those of its catalog. Whoever writes a table could so name a class for this
process to import (`py-io-impl`), or send it, with its credentials, to another server (`s3.endpoint`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.io import FileIO

_CLASS = re.compile(r"py-io-impl|io-impl")
_STORAGE = re.compile(rf"(?:{_CLASS.pattern}|(?:s3|gcs|adls|hdfs|hf|client)\..*)")


def opened_by_settings(catalog: Catalog) -> Catalog:
    """The catalog, whose tables say nothing of how their files are opened.

    A REST catalog gives out credentials for a table among the same properties, so that there only classes are left out.
    """
    from pyiceberg.catalog.rest import RestCatalog

    left_out = _CLASS if isinstance(catalog, RestCatalog) else _STORAGE
    load = catalog._load_file_io

    def load_file_io(properties: Mapping[str, str] | None = None, location: str | None = None) -> FileIO:
        kept = {name: value for name, value in (properties or {}).items() if not left_out.fullmatch(name)}
        return load(kept, location)

    catalog._load_file_io = load_file_io  # pyright: ignore[reportAttributeAccessIssue]
    return catalog
