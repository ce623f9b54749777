"""`drls table health`: of a table, a namespace and all tables, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
import pytest

from drls_dagster.cli.main import run
from drls_dagster.cli.maintain import maintain
from lifecycle.domain.table_health import COMMANDS, HealthKind, Measure, judge
from tests.iceberg_tables import make_table

Ask = Callable[..., str]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs `drls table health …` as the first Admin; what it printed."""
    assert run(["whoami"]) == 0
    capsys.readouterr()
    make_table("lab.small", *[{"x": [number]} for number in range(40)])
    make_table("lab.good", {"x": [1]})
    make_table("other.good", {"x": [1]})

    def asked(*arguments: str, code: int = 0) -> str:
        assert run(["table", "health", *arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return asked


def test_a_table_a_namespace_all_tables_and_the_history(ask: Ask) -> None:
    said = ask("lab.small")
    assert said.startswith("lab.small: 52 of 100\n")
    assert "40 of 40 data files are small; compaction would save 39" in said
    assert said.endswith("Compact it: 40 data files could be 1; rewrite its 40 manifests\n")
    found = json.loads(ask("lab.small", "--json"))
    assert (found["score"], found["data_file_count"], found["reasons"][0]["kind"]) == (52, 40, "small_files")
    assert [one["name"] for one in json.loads(ask("--all", "--json"))] == ["lab.small", "lab.good", "other.good"]
    lines = [line.split() for line in ask("lab").splitlines() if line.strip()]
    assert [line[1] for line in lines if line[0].isdecimal()] == ["lab.small", "lab.good"]
    assert "other.good" not in ask("--all", "--below", "70")
    assert ask("--all", "--below", "10") == "No table with a score below 10.\n"
    assert "small_files 45" in ask("lab.small", "--history")
    assert json.loads(ask("lab.small", "--history", "--json"))[0]["score"] == 52
    assert "there is no table lab.nothing" in ask("lab.nothing", "--history", code=1)


def test_wrong_use_is_one_line(ask: Ask) -> None:
    for arguments, code, said in (
        ((), 2, "Name a table or a namespace, or give --all"),
        (("lab.good", "--all"), 2, "Name a table or a namespace, or give --all"),
        (("--all", "--history"), 2, "--history needs a TABLE"),
        (("--all", "--orphans"), 2, "--orphans needs a TABLE"),
        (("lab.nothing",), 1, "there is no table lab.nothing that you may see"),
        (("lab.a b; DROP",), 1, "there is no table"),
        (("lab.good", "--below", "200"), 2, "--below"),
    ):
        assert said in ask(*arguments, code=code), arguments


def test_the_commands_that_fix_a_reason_exist() -> None:
    for kind, command in COMMANDS.items():
        drls, group, name, table, *options = command.split()
        assert (drls, group, table) == ("drls", "maintain", "{table}"), kind
        found = maintain.commands[name]
        assert any(isinstance(one, click.Argument) for one in found.params), kind
        known = {option for one in found.params for option in one.opts}
        assert {one for one in options if one.startswith("-")} <= known, kind


def test_a_name_in_a_command_is_quoted_for_the_shell() -> None:
    measure = Measure(kind=HealthKind.SNAPSHOTS, number=500, text="many")
    (reason,) = judge('lab."a b"', [measure], {HealthKind.SNAPSHOTS: 100}).reasons
    assert reason.command == """drls maintain expire 'lab."a b"'"""
