"""A pinned file that is not what it was is refused by name before Spark reads anything (D1, finding 24)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.positions import Read
from drls_dagster.settings import Settings
from drls_dagster.steps.sources.files.source import Files, FilesPin
from drls_dagster.steps.sources.pins import Place, Reader, SourceMissing
from lifecycle.domain.environment import Environment
from lifecycle.spec import FilesSource

Format = Literal["csv", "json", "parquet"]
Change = Callable[[Path], None]


def write(path: Path, value: int) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": [value]}), path)
    else:
        path.write_text(f"id\n{value}\n" if path.suffix == ".csv" else f'{{"id":{value}}}\n')


def longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() * 2)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def same_size(file: Path) -> None:
    size = file.stat().st_size
    write(file, 7)
    assert file.stat().st_size == size
    os.utime(file, ns=(1, 1))


def touched(file: Path) -> None:
    os.utime(file, ns=(1, 1))


def replaced(file: Path) -> None:
    other = file.with_suffix(".new")
    write(other, 12345)
    other.replace(file)


def removed(file: Path) -> None:
    file.unlink()


def folder_removed(file: Path) -> None:
    shutil.rmtree(file.parent)


def folder_is_a_file(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.write_text("x")


def linked(file: Path) -> None:
    elsewhere = file.with_suffix(".away")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def linked_alike(file: Path) -> None:
    """By a link of the same size and time as the file."""
    was = file.stat()
    name = "x" * (2 - was.st_size % 2)
    file.rename(file.with_name(name))
    os.symlink("./" * ((was.st_size - len(name)) // 2) + name, file)
    os.utime(file, ns=(was.st_mtime_ns, was.st_mtime_ns), follow_symlinks=False)
    assert os.lstat(file).st_size == was.st_size


def linked_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def folder_linked(file: Path) -> None:
    elsewhere = file.parent.with_name("away")
    file.parent.rename(elsewhere)
    file.parent.symlink_to(elsewhere)


def folder_linked_to_itself(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.symlink_to(file.parent.name)


def became_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def became_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


CHANGES = [
    longer, truncated, emptied, same_size, touched, replaced, removed, folder_removed, folder_is_a_file, linked,
    linked_alike, linked_to_itself, folder_linked, folder_linked_to_itself, became_a_folder, became_a_pipe,
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change"),
    [*(("csv", one) for one in CHANGES), *((kind, one) for kind in ("json", "parquet") for one in (truncated, linked))],
)
def test_d1_a_file_that_is_not_what_was_pinned_is_refused_by_name(tmp_path: Path, kind: Format, change: Change) -> None:
    """Failed before for a link of the same size and time, and for a folder that leads to itself: "Too many levels"."""
    place, source, pin, file = pinned(tmp_path, kind)
    change(file)
    reader = Reader(None, place, str(tmp_path / "stage"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(SourceMissing) as refused:
        Files().read(reader, "raw", source, pin, Read(None, None))
    said = str(refused.value)
    assert said.startswith(f"node 'raw': in/a.{kind} ")
    assert "changed since the run pinned it; start a new run" in said or "was removed while the run needed it" in said
    assert str(tmp_path) not in said


def pinned(tmp_path: Path, kind: Format) -> tuple[Place, FilesSource, FilesPin, Path]:
    settings = Settings(home=tmp_path / "home", landing=str(tmp_path / "landing"))
    place = Place(settings, Environment.DEVELOPMENT, load_catalog(settings))
    file = tmp_path / "landing" / "in" / f"a.{kind}"
    file.parent.mkdir(parents=True)
    write(file, 1)
    write(file.with_name(f"b.{kind}"), 2)
    schema = {} if kind == "parquet" else {"schema": {"id": "int"}}
    options = {"header": True} if kind == "csv" else {}
    source = FilesSource.model_validate({"format": kind, "path": f"in/*.{kind}", "options": options, **schema})
    return place, source, Files().pin("raw", source, place), file


@pytest.mark.parametrize("change", [truncated, replaced, linked, removed], ids=lambda change: change.__name__)
def test_d1_a_file_that_changes_once_it_was_looked_at_is_refused_by_name(tmp_path: Path, change: Change) -> None:
    """After an action on its rows, whatever Spark has made of it."""
    _, _, pin, file = pinned(tmp_path, "csv")
    Files().refuse_changed("raw", pin)
    change(file)
    with pytest.raises(SourceMissing, match=r"node 'raw': in/a\.csv "):
        Files().refuse_changed("raw", pin)
