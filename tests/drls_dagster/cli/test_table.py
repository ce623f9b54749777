from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog

ROWS = pa.table(
    {
        "day": [date(2013, 1, 1), date(2013, 1, 2), None],
        "mean": [1.5, float("nan"), float("inf")],
        "price": pa.array([Decimal("1.10"), None, Decimal("2.20")], pa.decimal128(9, 2)),
        "note": ["[red]plain", "\x1b[31mescape", "zwölf"],
        "raw": [b"\x00\xff", None, b""],
        "list": [[1, 2], None, []],
    }
)


@pytest.fixture
def _tables() -> None:
    catalog = load_catalog()
    for namespace in ("flights", "flights__development"):
        catalog.create_namespace(namespace)
        catalog.create_table(f"{namespace}.daily", schema=ROWS.schema)
    catalog.load_table("flights__development.daily").append(ROWS)


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_no_tables_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(output_of(capsys, "table", "list", "--json")) == []
    assert output_of(capsys, "table", "list") == "No tables yet.\n"


@pytest.mark.usefixtures("_tables")
def test_list_as_json_and_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    empty, full = json.loads(output_of(capsys, "table", "list", "--json"))
    assert (empty["name"], empty["rows"], empty["snapshot_id"]) == ("flights.daily", 0, None)
    assert (full["name"], full["rows"], full["data_files"]) == ("flights__development.daily", 3, 1)
    assert full["bytes"] > 0
    assert full["updated_at"].endswith("+00:00")
    assert "flights__development.daily" in output_of(capsys, "table", "list")


@pytest.mark.usefixtures("_tables")
@pytest.mark.parametrize(
    "arguments", [["flights__development.daily"], ["flights.daily", "--env", "development"]]
)
def test_a_preview_in_json_keeps_every_value(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = json.loads(output_of(capsys, "table", "preview", *arguments, "--json"))
    assert shown["name"] == "flights__development.daily"
    assert shown["columns"] == ROWS.column_names
    assert shown["rows"] == [
        {
            "day": "2013-01-01",
            "mean": 1.5,
            "price": "1.10",
            "note": "[red]plain",
            "raw": "00ff",
            "list": [1, 2],
        },
        {
            "day": "2013-01-02",
            "mean": "nan",
            "price": None,
            "note": "\x1b[31mescape",
            "raw": None,
            "list": None,
        },
        {"day": None, "mean": "inf", "price": "2.20", "note": "zwölf", "raw": "", "list": []},
    ]


@pytest.mark.usefixtures("_tables")
def test_a_preview_for_people_sends_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = output_of(capsys, "table", "preview", "flights.daily", "--env", "development", "--limit", "2")
    assert "[red]plain" in out
    assert "\\x1b[31mescape" in out
    assert "\x1b" not in out
    assert "2 rows of flights__development.daily, snapshot " in out


@pytest.mark.usefixtures("_tables")
def test_show_has_schema_refs_and_snapshots(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(output_of(capsys, "table", "show", "flights__development.daily", "--json"))
    assert [column["name"] for column in shown["schema"]] == ROWS.column_names
    assert shown["refs"][0]["name"] == "main"
    assert shown["snapshots"][0]["added_rows"] == 3
    assert shown["partition_by"] == []
    text = output_of(capsys, "table", "show", "flights.daily")
    assert "decimal(9, 2)" in text
