"""Keys of buckets that no folder of a machine could hold: what is listed is what is read (finding 24)."""

from __future__ import annotations

from pathlib import Path

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.files.placing import fetched
from drls_dagster.steps.sources.files.roots import Roots
from drls_dagster.steps.sources.files.source import Files
from drls_dagster.steps.sources.files.storage import storage_of
from drls_dagster.steps.sources.pins import Place, Reader, SourceUnreadable
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource
from tests.flat_s3_server import running_flat_s3

ODD = ["a+b.csv", "a%20b.csv", "a b.csv", "a%2Fb.csv", "%41.csv", "A.csv", "e\u0301.csv", "\u00e9.csv", " lead.csv", "trail ",
       "a&b.csv", "a?b.csv", "a#b.csv", "a;b=c.csv", "..csv", "a\\b.csv", "\U0001f600.csv", '"q".csv', "~.csv"]  # fmt: skip


def copied(keys: list[str], path: str, home: Path) -> dict[str, str]:
    """The names that a path means below landing, and what was copied of each; each key holds its own name."""
    with running_flat_s3(
        {f"landing/{key}": b"" if key.endswith(("/", "$")) else key.encode() for key in keys}
    ) as address:
        options = f"endpoint_override={address}&scheme=http&region=us-east-1"
        settings = Settings(home=home, landing=f"s3://key:secret@lake/landing?{options}")
        place = Place(settings, Environment.DEVELOPMENT, load_catalog(settings))
        source = FilesSource(format="csv", path=path)
        pin = Files().pin("raw", source, place)
        roots = Roots.of(settings, place.environment)
        storage = storage_of(roots.named("raw", path), roots, settings)
        reader = Reader(None, place, str(home / "stage"))  # pyright: ignore[reportArgumentType]
        files = fetched(reader, "raw", storage, pin.files)
    return {name.removeprefix("s3://lake/landing/"): Path(file).read_text() for name, file in files.items()}


@pytest.mark.parametrize("path", ["*", "**"])
def test_d1_a_key_is_read_as_it_is_listed_whatever_is_in_it(path: str, tmp_path: Path) -> None:
    assert copied(ODD, path, tmp_path) == {key: key for key in ODD}


@pytest.mark.parametrize("path", ["*", "**", "*/*.csv", ".*/*"])
def test_d1_keys_with_an_empty_name_are_refused_and_never_others_read(path: str, tmp_path: Path) -> None:
    """`*/*.csv` meant `b.csv`, and `**` was a RecursionError after a thousand listings."""
    keys = ["/a.csv", "b.csv", "x//c.csv", "x/d.csv", "../landing/b.csv"]
    with pytest.raises(SourceUnreadable, match=r"node 'raw': the keys below s3://lake/landing/\S+ have an empty name"):
        copied(keys, path, tmp_path)
    assert copied(keys, "*.csv", tmp_path) == {"b.csv": "b.csv"}


def test_d1_a_path_with_an_empty_name_means_no_other_key(tmp_path: Path) -> None:
    """`x//c.csv` was read as `x/c.csv`."""
    with pytest.raises(SourceUnreadable, match=r"node 'raw': x//c\.csv has an empty name between two slashes"):
        copied(["x//c.csv", "x/c.csv"], "x//c.csv", tmp_path)


@pytest.mark.parametrize("path", ["*", "**", "dir", "dir/*"])
def test_d1_markers_of_folders_hold_no_rows(path: str, tmp_path: Path) -> None:
    """`dir_$folder$`, as Hadoop wrote it, was a file without bytes, which no Parquet file is."""
    keys = ["", "dir/", "dir_$folder$", "dir/a.csv", "empty/", "e.csv/"]
    assert copied(keys, path, tmp_path) == {"dir/a.csv": "dir/a.csv"}
