"""What an engine writes while it runs is its owner's alone, and does not outlive it for long."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from drls_dagster.engine import places
from drls_dagster.settings import Settings, load_settings


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings(drls_home)


def everything(settings: Settings) -> list[Path]:
    folders = [places.ray_folder(settings).parent, places.spark_folder(settings), places.temporary_folder(settings)]
    return [*folders, *(folder.parent for folder in folders[1:])]


def test_nobody_else_enters_the_folders_of_an_engine(settings: Settings) -> None:
    before = os.umask(0)
    try:
        places.make_places(settings)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in everything(settings)} == {0o700}
    places.remove_places(settings)


def test_a_ray_socket_has_a_name_that_the_kernel_takes_however_long_the_homes_is(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / ("long" * 20))
    places.make_places(settings)
    longest = places.ray_folder(settings) / "session_2026-11-29_08-49-51_745549_4194304" / "sockets" / "plasma_store"
    assert len(os.fsencode(longest)) <= 107
    places.remove_places(settings)


def test_a_home_with_a_short_name_holds_all_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_LONGEST", 200)
    settings = load_settings(tmp_path / "home")
    places.make_places(settings)
    assert places.ray_folder(settings) == settings.home / "engine" / "ray" / "r"


def test_the_next_start_removes_what_a_killed_engine_left(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for longest in (0, 200):  # outside of the home, and in it
        monkeypatch.setattr(places, "_LONGEST", longest)
        places.make_places(settings)
        left = [folder / "left" for folder in everything(settings)]
        for file in left:
            file.write_text("")
        folder = places.ray_folder(settings).parent
        places.make_places(settings)
        assert not [file for file in left if file.exists()]
        assert longest or not folder.exists(), "outside, the next one has another name"
    places.remove_places(settings)
    assert not [name for name in ("ray", "scratch") if (settings.home / "engine" / name).exists()]


def test_a_link_that_the_engines_code_has_left_leads_nowhere(settings: Settings, tmp_path: Path) -> None:
    """The next start must not empty the folder that such a link names."""
    places.make_places(settings)
    kept = tmp_path / "kept"
    kept.mkdir()
    places.remove_places(settings)
    for name in ("ray", "scratch"):
        (settings.home / "engine" / name).symlink_to(kept)
    places.remove_places(settings)
    assert kept.is_dir()
    assert not (settings.home / "engine" / "ray").is_symlink()


def test_a_folder_of_somebody_else_in_our_folders_place_is_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary folder is emptied when a machine starts; then the name is free to everybody."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    monkeypatch.setattr(places, "_LONGEST", 0)
    places.make_places(settings)
    theirs = places.ray_folder(settings).parent
    os.chown(theirs, 65534, 65534)
    (theirs / "file").write_text("")
    try:
        places.remove_places(settings)
        assert (theirs / "file").exists()
    finally:
        os.chown(theirs, 0, 0)
        places._remove(theirs)
