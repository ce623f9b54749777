"""Files of a catalog whose warehouse is a folder of this machine: written and deleted below it alone.

The engine writes this folder and, where it is a file, the catalog: it may put a link in place of a folder, or name any
place as a table's location. Neither leads this process, which may write more than the engine, elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyiceberg.io import InputFile, OutputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog_config import local_folder


class WarehouseFileIO(PyArrowFileIO):
    """Arrow's access to files, for a catalog's warehouse. Raises DrlsError for a local file that lies elsewhere."""

    def new_output(self, location: str) -> PyArrowFile:
        self._require_below(location, "written")
        return super().new_output(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        self._require_below(location if isinstance(location, str) else location.location, "deleted")
        super().delete(location)

    def _require_below(self, location: str, done: str) -> None:
        # As PyIceberg understands it, which takes a place without a scheme for one of this machine.
        scheme, _, local = self.parse_location(location, self.properties)
        if scheme != "file":
            return
        root = local_folder(self.properties.get("warehouse"))
        # The file itself is made anew, or removed under its own name.
        folder = Path(os.path.realpath(os.path.dirname(local)))
        if root is None or not folder.is_relative_to(root):
            leads = "" if str(folder) == os.path.dirname(local) else f" leads to {folder} and"
            raise DrlsError(
                f"{local}{leads} lies outside the warehouse {root}, where nothing is {done}; "
                "look who put it there, and move the table below the warehouse"
            )
