"""pipeline save DIR: a folder of files, as git keeps them, becomes versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.spec.writing import dump_yaml
from tests.drls_dagster.cli.lifecycle.shell import Shell
from tests.lifecycle.life import make_spec


@pytest.fixture
def folder(shell: Shell) -> Path:
    """Two pipelines, one of them in a folder below a hidden one: DRLS_HOME is such a place."""
    made = shell.home.parent / ".checkout" / "pipelines"
    put(made, "flights")
    put(made / "finance", "bills", table="finance.bills")
    (made / "values.yaml").write_text("replicas: 3\n")
    (made / ".github").mkdir()
    (made / ".github" / "hidden.yaml").write_text("format_version: 1\n")
    return made


def put(folder: Path, name: str, rows: int = 1, *, file: str | None = None, table: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    spec = make_spec(name, rows, tables=(table or f"{name}.daily",))
    (folder / f"{file or name}.yaml").write_text(dump_yaml(spec))


def test_every_file_is_saved_and_saving_again_changes_nothing(shell: Shell, folder: Path) -> None:
    first = shell("pipeline", "save", str(folder), "-m", "from git", by="ada")
    assert first.out.splitlines() == [
        f"{folder}/values.yaml: skipped: it has no format_version, so it is not a pipeline file",
        f"{folder}/finance/bills.yaml: saved bills v1",
        f"{folder}/flights.yaml: saved flights v1",
    ]
    put(folder, "flights", rows=2)
    again = shell("pipeline", "save", str(folder), "--json", by="ada").json
    assert [(one["pipeline"], one["outcome"], one["version"]) for one in again] == [
        ("bills", "unchanged", 1),
        ("flights", "saved", 2),
    ]
    put(folder, "flights", rows=1)
    back = shell("pipeline", "save", str(folder), by="ada").out
    assert "saved flights v1" in back
    assert shell.active() == {"development": 1}
    messages = [one["message"] for one in shell("pipeline", "show", "bills", "--json", by="ada").json["versions"]]
    assert messages == ["from git"]


def test_what_is_refused_says_why_and_harms_no_other(shell: Shell, folder: Path) -> None:
    (folder / "cut.yaml").write_text("a: [1,\n b: }")
    (folder / "broken.yaml").write_text("format_version: 1\nname: broken\nnodes: []\nmoon: 1\n")
    shell("pipeline", "save", shell.file(name="owner", rows=1), by="lea")
    put(folder, "flights", table="owner.daily")  # another pipeline's table
    put(folder / "a", "twice", file="one", table="t.one")
    put(folder / "b", "twice", file="two", table="t.two")
    said = shell("pipeline", "save", str(folder), "--json", by="ada", fails=1)
    by_file = {Path(one["file"]).name: one for one in said.json}
    assert by_file["bills.yaml"]["outcome"] == "saved"
    assert "this is not YAML" in by_file["cut.yaml"]["reason"]
    assert {name for name, one in by_file.items() if one["outcome"] == "refused"} == {
        "broken.yaml",
        "cut.yaml",
        "flights.yaml",
        "one.yaml",
        "two.yaml",
    }
    assert "is already written by pipeline owner" in by_file["flights.yaml"]["reason"]
    assert "the name 'twice' also belongs to" in by_file["one.yaml"]["reason"]
    assert "moon" in by_file["broken.yaml"]["reason"]
    lines = shell("pipeline", "save", str(folder), by="ada", fails=1).out.splitlines()
    assert len(lines) == 7
    assert lines[1].endswith("refused: " + by_file["one.yaml"]["reason"])


def test_who_may_not_save_hears_so_for_each_file_and_who_is_nobody_once(shell: Shell, folder: Path) -> None:
    said = shell("pipeline", "save", str(folder), by="vic", fails=1)
    assert said.out.count("needs the role DataEngineer") == 2
    shell.tokens["nobody"] = "wrong"
    unknown = shell("pipeline", "save", str(folder), by="nobody", fails=1)
    assert unknown.out == ""
    assert len(unknown.err.splitlines()) == 1


def test_a_folder_is_validated_as_a_whole(shell: Shell, folder: Path) -> None:
    assert len(shell("pipeline", "validate", str(folder), by=None).out.splitlines()) == 3
    put(folder / "a", "bills", file="other", table="t.one")
    said = shell("pipeline", "validate", str(folder), "--json", by=None, fails=2)
    valid = {Path(one["file"]).name: one["valid"] for one in said.json}
    assert valid == {"other.yaml": False, "bills.yaml": False, "flights.yaml": True}
    assert f"{folder}/a/other.yaml: the name 'bills' also belongs to 'bills' (bills.yaml)" in said.err


def test_what_is_for_one_file_and_a_folder_without_pipelines_are_wrong_use(shell: Shell, folder: Path) -> None:
    assert "work with one file" in shell("pipeline", "save", str(folder), "--on", "1", by="ada", fails=2).err
    empty = shell.home.parent / "empty"
    empty.mkdir()
    assert "has no pipeline file" in shell("pipeline", "save", str(empty), by="ada", fails=2).err
