"""What a killed engine left of its steps in staging goes with the start of the next one; what is in use stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from drls_dagster.engine.host_folders import clear_host_folders, make_host_folder

MAKES = "import sys; from drls_dagster.engine.host_folders import make_host_folder as make; print(make(sys.argv[1]))"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    made = tmp_path / "staging" / "run" / "recipe" / "out"
    made.mkdir(parents=True)
    return made


def left_by_a_dead_process(output: Path) -> Path:
    done = subprocess.run([sys.executable, "-c", MAKES, str(output)], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def test_the_folder_of_a_dead_worker_goes_and_that_of_a_living_one_stays(output: Path) -> None:
    dead, living = left_by_a_dead_process(output), make_host_folder(str(output))
    (dead / "closed").mkdir()
    (dead / "closed" / "rows.parquet").touch()
    (dead / "closed").chmod(0)
    (output / "part.parquet").touch()
    clear_host_folders(str(output.parents[2]))
    assert sorted(output.iterdir()) == [living, output / "part.parquet"]


def test_a_pid_that_came_round_again_is_another_process(output: Path) -> None:
    me = psutil.Process()
    mine = make_host_folder(str(output))
    earlier = mine.with_name(mine.name.replace(f"{me.create_time():.2f}", f"{me.create_time() - 60:.2f}"))
    earlier.mkdir()
    clear_host_folders(str(output.parents[2]))
    assert list(output.iterdir()) == [mine]


def test_what_another_machine_left_and_what_a_link_leads_to_stay(output: Path, tmp_path: Path) -> None:
    dead = left_by_a_dead_process(output)
    place = dead.name.split("-")[3]
    elsewhere = dead.with_name(dead.name.replace(place, "0" * 12))
    elsewhere.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").touch()
    (link := dead.with_name(dead.name + "x")).symlink_to(other)
    clear_host_folders(str(output.parents[2]))
    assert not dead.exists()
    assert elsewhere.is_dir()
    assert (other / "kept").exists()
    assert link.is_symlink()


@pytest.mark.parametrize("staging", ["{tmp}/nowhere", "s3://bucket/staging"])
def test_where_there_is_no_staging_here_nothing_happens(staging: str, tmp_path: Path) -> None:
    clear_host_folders(staging.format(tmp=tmp_path))
