"""docs/how-to/change-feed.md: its commands run, its Python runs, its pipeline is valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.expressions import EqualTo

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog
from lifecycle.spec import parse_pipeline

PAGE = (Path(__file__).parents[2] / "docs/how-to/change-feed.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def daily(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of the page, with an update that came as a delete and an append."""
    monkeypatch.chdir(tmp_path)
    catalog = load_catalog()
    catalog.create_namespace("flights__development")
    rows = pa.table({"carrier": ["UA", "AA"], "flights": [1, 2]})
    table = catalog.create_table("flights__development.daily_delays", schema=rows.schema)
    table.append(rows)
    table.delete(EqualTo("carrier", "UA"))
    table.append(pa.table({"carrier": ["UA"], "flights": [3]}))


@pytest.mark.usefixtures("daily")
def test_the_commands_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    (commands,) = blocks("sh")
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "drls"
        assert run(arguments) == 0, line
    said = capsys.readouterr().out
    assert "4 changes of flights__development.daily_delays up to snapshot" in said
    assert pq.read_table("changes.parquet")["_change_type"].to_pylist() == ["insert", "insert", "delete", "insert"]


@pytest.mark.usefixtures("daily")
def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, "change-feed.md", "exec"), {})  # noqa: S102
    assert "_committed_at" in capsys.readouterr().out


def test_the_pipeline_of_the_page_is_valid() -> None:
    (text,) = blocks("yaml")
    assert parse_pipeline(text).sources[0].source.keys == ("id",)
