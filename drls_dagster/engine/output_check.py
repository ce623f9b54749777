"""Reads what a command left, in a fence of its own: `python -P output_check.py REQUEST ANSWER`, two files of JSON.

What a command writes is anybody's file, so no process that holds a right of the platform opens it. It comes out as new
files with exactly the step's columns and types. This file imports the standard library until it knows the other places.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any

BATCH = 262_144
MOST_FILES = 10_000


class Unfit(Exception):
    """What the command left is no output."""


class Packages:
    """Finds packages of DRLS in a checkout whose root cannot be listed from inside the fence."""

    def __init__(self, folders: dict[str, str]) -> None:
        self._folders = folders

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        folder = self._folders.get(name)
        if folder is None:
            return None
        return spec_from_file_location(name, f"{folder}/__init__.py", submodule_search_locations=[folder])


def main(request: str, answer: str) -> None:
    with open(request) as file:
        asked: dict[str, Any] = json.load(file)
    sys.path[:] = asked["path"]
    sys.meta_path.insert(0, Packages(asked["packages"]))
    try:
        said: dict[str, Any] = {"files": checked(asked)}
    except Unfit as error:
        said = {"error": str(error)}
    with open(answer, "w") as file:
        json.dump(said, file)


def checked(asked: dict[str, Any]) -> list[list[Any]]:
    """The new files with their rows; none is empty where the columns are declared."""
    import pyarrow as pa

    names = parquet_files(asked["output"])
    if not names:
        raise Unfit("it left no .parquet file in its output folder; write one without rows if there are none")
    given = asked["schema"]
    schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(given))) if given else _schema_of(asked["output"], names[0])
    found: list[list[Any]] = []
    for number, name in enumerate(names):
        target = f"part-{number:05}.parquet"
        rows = _copied(os.path.join(asked["output"], name), name, os.path.join(asked["target"], target), schema)
        if rows or not given:  # without rows a file still says which columns there are
            found.append([target, rows])
    return found


def parquet_files(folder: str) -> list[str]:
    """The names of the Parquet files directly in a folder, and in folders of it; hidden ones are not finished."""
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith((".", "_")))
        for name in sorted(names):
            if name.endswith(".parquet") and not name.startswith((".", "_")):
                path = os.path.relpath(os.path.join(place, name), folder)
                if not stat.S_ISREG(os.lstat(os.path.join(place, name)).st_mode):
                    raise Unfit(f"'{path}' in its output folder is a link, not a file of its own")
                found.append(path)
    if len(found) > MOST_FILES:
        raise Unfit(f"it left {len(found):,} files; write at most {MOST_FILES:,}")
    return found


def _schema_of(folder: str, name: str) -> Any:
    """The columns of a file, for a step that declares none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_schema(os.path.join(folder, name))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unfit(f"'{name}' cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from None
    return pa.schema([pa.field(one.name, one.type) for one in found])


def _copied(source: str, name: str, target: str, schema: Any) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from drls_dagster.engine.conform import Misfit, conform

    rows = 0
    try:
        with pq.ParquetFile(source) as file, pq.ParquetWriter(target, schema) as writer:
            conform(file.schema_arrow.empty_table(), schema)
            for batch in file.iter_batches(BATCH):
                table = conform(pa.Table.from_batches([batch]), schema)
                writer.write_table(table)
                rows += table.num_rows
    except Misfit as error:
        where = f"'{name}'" if error.column is None else f"column '{error.column}' of '{name}'"
        raise Unfit(f"{where} {error.what}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unfit(f"'{name}' cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from None
    return rows


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
