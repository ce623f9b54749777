"""Which files a path means: one rule for this machine and for buckets (D1)."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.files.hive import Folders
from drls_dagster.steps.sources.files.listing import listed
from drls_dagster.steps.sources.files.placing import Item, place
from drls_dagster.steps.sources.files.storage import Local, Remote, Storage
from drls_dagster.steps.sources.pins import Place, Reader, SourceUnreadable
from lifecycle.domain.environment import Environment

NAMES = [
    "a.csv", "o1.csv", "o[1].csv", "b\\c.csv", "2024-01-01T10:00.csv", "p%20.csv", "ü.csv", "_x.csv", ".y.csv", "q*.csv",
    "run [2024]/d.csv", "run 2/e.csv", "day=1/f.csv", "day=2/hour=3/g.csv", "other/h.csv", "_temporary/i.csv",
    "_SUCCESS", ".a.csv.crc", "._a.csv", ".part",
]  # fmt: skip


@pytest.fixture(params=["local", "bucket"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, str]:
    """The same files in a folder, and behind the interface of a bucket."""
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    if request.param == "local":
        return Local(), str(tmp_path)
    (tmp_path / "bucket").mkdir()
    for name in NAMES:
        path = tmp_path / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return Remote("s3", pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())), "s3://bucket"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.csv", ["a.csv"]),
        ("o[1].csv", ["o[1].csv"]),
        ("o*.csv", ["o1.csv", "o[1].csv"]),
        ("[ab].csv", ["a.csv"]),
        ("run [2024]/*.csv", ["run [2024]/d.csv"]),
        ("*.csv", [name for name in NAMES if "/" not in name and name.endswith(".csv") and not name.startswith("._")]),
        ("day=*/*.csv", ["day=1/f.csv"]),
        ("day=*/**/*.csv", ["day=1/f.csv", "day=2/hour=3/g.csv"]),
        ("day=2", ["day=2/hour=3/g.csv"]),
        ("_temporary/*", ["_temporary/i.csv"]),
        (".part", [".part"]),
        ("**/h.csv", ["other/h.csv"]),
        ("**/i.csv", []),
        ("none*.csv", []),
    ],
)
def test_d1_a_path_means_the_same_files_here_and_in_a_bucket(
    lake: tuple[Storage, str], path: str, expected: list[str]
) -> None:
    """Finding 24; failed on 0.1.0, where a remote `*` crossed folders and brackets never matched themselves."""
    storage, root = lake
    assert [entry.name for entry in listed(storage, f"{root}/{path}")] == sorted(f"{root}/{name}" for name in expected)


def test_d1_a_folder_means_its_files_and_those_of_its_hive_folders(lake: tuple[Storage, str]) -> None:
    """Finding 24; failed on 0.1.0, which left the Hive folders out."""
    storage, root = lake
    found = [entry.name.removeprefix(f"{root}/") for entry in listed(storage, root)]
    assert {"day=1/f.csv", "day=2/hour=3/g.csv", "_x.csv", ".y.csv"} <= set(found)
    assert not {"_SUCCESS", ".a.csv.crc", "._a.csv", ".part", "other/h.csv", "_temporary/i.csv"} & set(found)


def test_a_delta_table_is_refused_because_its_log_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "t" / "_delta_log").mkdir(parents=True)
    (tmp_path / "t" / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceUnreadable, match="is a Delta table"):
        listed(Local(), str(tmp_path / "t"))


def test_names_that_are_no_utf8_are_listed(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))).write_text("id\n")
    (found,) = listed(Local(), f"{tmp_path}/*.csv")
    assert found.name.endswith("\udcff.csv")


def test_a_link_that_leads_to_nothing_is_refused_where_the_path_means_it(tmp_path: Path) -> None:
    """It was left out without a word, and one that leads to itself was an error of the pattern."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("a")
    (tmp_path / "in" / ".#a.csv").symlink_to("nobody@nowhere")  # as an editor leaves one
    assert [entry.name for entry in listed(Local(), f"{tmp_path}/in/*")] == [f"{tmp_path}/in/a.csv"]
    for name, to in (("gone.csv", "nowhere"), ("self.csv", "self.csv")):
        (tmp_path / "in" / name).symlink_to(to)
        for path in ("in/*", "in", "in/**", "**/*.csv", f"in/{name}"):
            with pytest.raises(SourceUnreadable, match=rf"in/{name} is a link that leads to nothing"):
                listed(Local(), f"{tmp_path}/{path}")
        assert [entry.name for entry in listed(Local(), f"{tmp_path}/in/a*")] == [f"{tmp_path}/in/a.csv"]
        assert listed(Local(), f"{tmp_path}/in/*/b.csv") == []
        (tmp_path / "in" / name).unlink()


def test_two_links_to_one_file_are_placed_as_two_files(tmp_path: Path) -> None:
    """Spark reads a path once, however often it is named."""
    (tmp_path / "a.csv").write_text("id\n1\n")
    settings = Settings(home=tmp_path / "home")
    place_of = Place(settings, Environment.DEVELOPMENT, load_catalog(settings))
    reader = Reader(None, place_of, str(tmp_path / "stage"))  # pyright: ignore[reportArgumentType]
    real = str(tmp_path / "a.csv")
    names = ["x.csv", "y.csv"]
    nothing = Folders({}, {name: {} for name in names})
    paths = place(reader, "raw", [Item(name, real, ".csv") for name in names], nothing).paths
    assert len({*paths.values()}) == 2
    assert {os.path.realpath(path) for path in paths.values()} == {real}
    assert place(reader, "raw", [Item("x.csv", real, ".csv")], nothing).paths == {"x.csv": real}
