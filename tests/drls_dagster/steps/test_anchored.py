"""A link that something in the engine puts into staging leads the platform nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import IO, cast

import pytest

from drls_dagster.errors import DrlsError
from drls_dagster.settings import Settings, load_settings
from drls_dagster.steps.anchored import anchored, moved, taken
from drls_dagster.steps.command_folder import Staged, out_of_reach
from drls_dagster.steps.sources.files.placing import Item, place
from drls_dagster.steps.sources.pins import Reader
from drls_dagster.steps.staging import forget, staging_folder

KEY = "0123456789abcdef"


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    drls_home.mkdir(mode=0o700)
    (drls_home / "secret").write_text("sesame")
    return load_settings(drls_home)


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Somebody's folder, with folders of the names that staging has."""
    for name in ("in/raw", f"{KEY}/in/raw", "out", f"{KEY}/out", "read", f"{KEY}/read"):
        (tmp_path / "others" / name).mkdir(parents=True)
        (tmp_path / "others" / name / "kept").write_text("mine")
    return tmp_path / "others"


def everything(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("linked", ["run", f"run/{KEY}"])
def test_the_platform_changes_nothing_behind_a_link(settings: Settings, others: Path, linked: str) -> None:
    """In place of a run's folder, or of a recipe's."""
    before = everything(others)
    where = Path(settings.staging) / linked
    where.parent.mkdir(parents=True)
    where.symlink_to(others)
    folder = staging_folder(settings, "run", KEY)
    ours = settings.home / "part-00000.parquet"
    ours.write_text("rows")
    csv = settings.home / "landing" / "_a.csv"
    csv.parent.mkdir(parents=True)
    csv.write_text("id\n1\n")
    reader = cast(Reader, type("R", (), {"folder": folder}))
    folders = type("F", (), {"values": {"_a.csv": {}}, "kinds": {}, "path_of": lambda *_: ""})()
    for act in (
        lambda: forget(f"{folder}/in"),
        lambda: moved(ours, f"{folder}/out"),
        lambda: place(reader, "raw", [Item("_a.csv", str(csv), ".csv")], folders),  # pyright: ignore[reportArgumentType]
        lambda: taken(f"{folder}/in/raw", settings.home / "taken"),
    ):
        with pytest.raises(DrlsError, match="leads elsewhere"):
            act()
    assert everything(others) == before
    assert ours.read_text() == "rows"


def test_files_of_odd_names_get_links_in_a_folder_that_is_really_there(settings: Settings) -> None:
    csv = settings.home / "landing" / "_a.csv"
    csv.parent.mkdir(parents=True)
    csv.write_text("id\n1\n")
    reader = cast(Reader, type("R", (), {"folder": staging_folder(settings, "run", KEY)}))
    folders = type("F", (), {"values": {"_a.csv": {}, "b": {}}, "kinds": {}, "path_of": lambda *_: ""})()

    def upper(source: IO[bytes], out: IO[bytes]) -> None:
        out.write(source.read().upper())

    items = [Item("_a.csv", str(csv), ".csv"), Item("b", str(csv), ".csv", convert=upper)]
    first, again = (place(reader, "raw", items, folders) for _ in range(2))  # pyright: ignore[reportArgumentType]
    assert first == again  # a retry's
    assert [Path(one).read_text() for one in again.paths.values()] == ["id\n1\n", "ID\n1\n"]
    assert Path(again.paths["_a.csv"]).readlink() == csv
    assert len(list(Path(again.paths["b"]).parent.iterdir())) == 2


def test_a_link_is_removed_and_not_what_it_leads_to(settings: Settings, others: Path) -> None:
    folder = Path(settings.staging) / "run" / KEY
    folder.mkdir(parents=True)
    (folder / "in").symlink_to(others)
    before = everything(others)
    forget(f"{folder}/in")
    assert list(folder.iterdir()) == []
    forget(f"{folder}/in")
    forget(f"{settings.staging}/never/made")
    assert everything(others) == before


@pytest.mark.parametrize("aim", ["home", "others"])
def test_an_input_that_leads_elsewhere_is_not_handed_to_a_command(
    settings: Settings, others: Path, tmp_path: Path, aim: str
) -> None:
    """The command's fence would open what it leads to: the secret, with which anybody is Admin."""
    staged, kept = Path(settings.staging) / "run" / KEY / "in", tmp_path / "kept"
    staged.mkdir(parents=True)
    kept.mkdir()
    (staged / "raw").symlink_to(settings.home if aim == "home" else others)
    with pytest.raises(DrlsError, match="leads elsewhere"):
        out_of_reach({"raw": Staged(str(staged / "raw"), ("secret",), {})}, kept)


def test_an_input_is_out_of_the_engines_reach(settings: Settings, tmp_path: Path) -> None:
    staged, kept = Path(settings.staging) / "run" / KEY / "in", tmp_path / "kept"
    (staged / "raw").mkdir(parents=True)
    (staged / "raw" / "part-0.parquet").write_text("rows")
    kept.mkdir()
    (found,) = out_of_reach({"raw": Staged(str(staged / "raw"), ("part-0.parquet",), {})}, kept).values()
    assert found == Staged(str(kept / "raw"), ("part-0.parquet",), {})
    assert (kept / "raw" / "part-0.parquet").read_text() == "rows"
    assert list(staged.iterdir()) == []


def test_a_folder_keeps_its_name_when_its_path_becomes_a_link(settings: Settings, others: Path) -> None:
    """In the moment after the look."""
    folder = Path(settings.staging) / "run"
    with anchored(str(folder), make=True) as at:
        folder.rename(folder.with_name("moved"))
        folder.symlink_to(others)
        (Path(at) / "note").write_text("ours")
    assert (folder.with_name("moved") / "note").read_text() == "ours"
    assert not (others / "note").exists()
