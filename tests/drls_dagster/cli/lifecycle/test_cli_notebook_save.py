"""`drls notebook save`: a notebook becomes what its pipeline file would become, and a file that is none is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drls_dagster.errors import UsageError
from drls_dagster.notebooks import files
from drls_dagster.notebooks.files import read_notebook
from lifecycle.spec.notebook_cells import MAX_NOTEBOOK
from tests.drls_dagster.cli.lifecycle.shell import Shell

EXAMPLE = Path(__file__).parents[4] / "examples/notebooks/late_days.py"
SAVE = ("notebook", "save", str(EXAMPLE), "--name", "late_days")


def test_the_example_is_saved_as_its_pipeline_file_is(local: Shell, tmp_path: Path) -> None:
    shown = local(*SAVE, "--dry-run", by="ada")
    assert "nothing starts it" not in shown.err
    assert "it has no owners" in shown.err
    file = tmp_path / "late_days.yaml"
    file.write_text(shown.out)
    local("pipeline", "validate", str(file))
    saved = local(*SAVE, "-m", "from a notebook", "--json", by="ada").json
    assert (saved["pipeline"], saved["number"], saved["stage"], saved["author"]) == (
        "late_days",
        1,
        "development",
        "ada",
    )
    again = local("pipeline", "save", str(file), "--json", by="ada").json
    assert (again["number"], again["digest"]) == (1, saved["digest"])
    assert local(*SAVE, "--dry-run", "--json", by="ada").json["checked"]["version"] == 1


def test_a_dry_run_saves_nothing_and_says_what_saving_would_refuse(local: Shell, tmp_path: Path) -> None:
    file = tmp_path / "taken.py"
    file.write_text(EXAMPLE.read_text().replace("flights.late_days", "flights.daily"))
    local.save()
    said = local("notebook", "save", str(file), "--name", "late_days", "--dry-run", by="ada", fails=2)
    assert "flights.daily is already written by pipeline flights" in said.err
    assert said.out.startswith("format_version: 1\nname: late_days\n")
    assert [one["name"] for one in local("pipeline", "list", "--json", by="ada").json] == ["flights"]


def test_a_cell_that_is_no_node_and_a_hostile_name_are_refused_in_one_line(local: Shell, tmp_path: Path) -> None:
    file = tmp_path / "other.py"
    file.write_text(EXAMPLE.read_text().replace("# drls: source\n", "# tables\n"))
    said = local("notebook", "save", str(file), "--name", "late_days", by="ada", fails=2)
    assert said.err == (
        "Error: cell 3 (line 27, here line 30): it uses 'delays' of cell 2 (line 20), which is no node; mark that cell, or "
        "move its code into this one\n"
    )
    for name in ("../../up", "late days", "late\nname: other", "-x", "Late"):
        said = local("notebook", "save", str(EXAMPLE), f"--name={name}", by="ada", fails=2)
        assert said.err.count("\n") == 1, said.err
        assert said.err.startswith("Error: name: "), said.err
    assert local("pipeline", "list", "--json", by="ada").json == []


def test_a_viewer_saves_no_notebook(local: Shell) -> None:
    assert "needs the role DataEngineer" in local(*SAVE, by="vic", fails=1).err
    assert "needs the role DataEngineer" in local(*SAVE, "--dry-run", by="vic", fails=1).err


def test_what_is_no_file_of_ones_own_is_refused_in_one_line(tmp_path: Path) -> None:
    own, link, pipe = tmp_path / "own.py", tmp_path / "link.py", tmp_path / "pipe.py"
    own.write_text(EXAMPLE.read_text())
    link.symlink_to(own)
    os.mkfifo(pipe)
    huge, binary = tmp_path / "huge.py", tmp_path / "binary.py"
    huge.write_bytes(b"#" * (MAX_NOTEBOOK + 1))
    binary.write_bytes(b"\xff\xfe")
    assert read_notebook(own) == EXAMPLE.read_text()
    for place, said in (
        (link, "is a link"), (pipe, "is not a file"), (tmp_path, "is not a file"), ("/dev/zero", "is not a file"),
        (huge, "is larger than 1 MB"), (binary, "is not text"), (tmp_path / "none.py", "No such file"),
        (f"{own}\0", "null character"), (own / "x.py", "Not a directory"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said) as raised:
            read_notebook(place)
        assert "\n" not in str(raised.value)


def test_a_file_that_somebody_else_could_change_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.py"
    own.write_text("")
    monkeypatch.setattr(files, "is_trusted", lambda uid, folder: False)
    with pytest.raises(UsageError, match=r"belongs to the account .*, who could change it"):
        read_notebook(own)
