"""`drls table add-column` and its siblings: plans that change nothing, JSON, and errors in one line."""

from __future__ import annotations

import json

import pytest

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog
from tests.iceberg_tables import make_table

NAME = "lab.people"


@pytest.fixture(autouse=True)
def people(capsys: pytest.CaptureFixture[str]) -> None:
    """A table of no pipeline, at a store that has been opened before: the first start says so on stderr."""
    make_table(NAME, {"id": [1, 2], "name": ["ada", "eve"]}, {"id": [3], "name": ["bob"]})
    assert run(["whoami"]) == 0
    capsys.readouterr()


def columns() -> list[str]:
    return load_catalog().load_table(NAME).schema().column_names


def test_a_plan_shows_the_change_and_makes_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "drop-column", NAME, "name", "--plan"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "lab.people: drop column name string"
    assert "Nothing was changed. Plan sha256:" in out
    assert run(["table", "add-column", NAME, "age", "long", "--plan", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["table"], shown["done"], shown["lines"]) == (NAME, False, ["add column age long"])
    assert columns() == ["id", "name"]


def test_changes_say_what_they_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "add-column", NAME, "age", "int", "--doc", "in years", "--after", "id"]) == 0
    assert capsys.readouterr().out == "lab.people: add column age int, after id\nDone.\n"
    assert run(["table", "add-column", NAME, "age", "int", "--doc", "in years"]) == 0
    assert capsys.readouterr().out == "lab.people is already like this; nothing was changed.\n"
    first = load_catalog().load_table(NAME).metadata.snapshots[0].snapshot_id
    assert run(["table", "rollback", NAME, "--to", str(first), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["done"], shown["to"], len(shown["undone"])) == (True, str(first), 1)
    assert load_catalog().load_table(NAME).scan().to_arrow().num_rows == 2


def test_a_difference_with_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "diff", NAME, "--rows", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["relation"], shown["added"]["rows"], shown["data"]["added"]) == ("descendant", 1, 1)
    assert run(["table", "diff", NAME]) == 0
    assert "added" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["add-column", "lab.nothing", "a", "int"], 1, "there is no table lab.nothing"),
        (["add-column", NAME, "a b; DROP", "int"], 2, "cannot be the name of a column"),
        (["add-column", NAME, "a\nb", "int"], 2, "column: "),
        (["drop-column", NAME, "nam"], 1, "did you mean name?"),
        (["alter-type", NAME, "name", "int"], 1, "cannot become int"),
        (["move-column", NAME, "name"], 2, "pass --first or --after"),
        (["set-nullable", NAME, "name"], 2, "pass --optional or --required"),
        (["partition", NAME], 2, "pass --add FIELD"),
        (["rollback", NAME], 2, "pass --to SNAPSHOT or --at TIME"),
        (["rollback", NAME, "--to", "1"], 1, "has no snapshot 1"),
        (["rollback", NAME, "--at", "2001-01-01"], 1, "had no snapshot at"),
        (["branch", NAME, "uat"], 1, "the name of an environment"),
        (["branch", NAME, "b", "--forward", "main", "--drop"], 2, "--forward goes with no other change"),
        (["tag", NAME, "t", "--keep-for", "soon"], 2, "is not a duration"),
        (["tag", NAME, "drls-release-1"], 1, "names that begin with drls"),
        (["diff", NAME, "nope"], 1, "has no ref 'nope'"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_catalog().load_table(NAME).metadata_location
    assert run(["table", *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert load_catalog().load_table(NAME).metadata_location == before
