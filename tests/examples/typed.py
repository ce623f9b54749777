"""A how-to as its reader follows it: the files are put where it says, the commands are typed one after another."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment


def work_through(
    page: Path, engine: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, tables: Sequence[str], **landing: str
) -> None:
    """Does what the page says, in `folder`. `tables` of an earlier run are dropped; `landing`: CSV rows by folder."""
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    monkeypatch.setenv("DAGSTER_HOME", "")  # the command sets it for its process, which here is that of the tests
    monkeypatch.chdir(folder)
    catalog = load_catalog(engine)
    for table in tables:
        namespace, name = table.split(".")
        identifier = (f"{namespace}__development", name)
        if catalog.table_exists(identifier):
            catalog.drop_table(identifier)
    for name, rows in landing.items():
        place = Path(engine.landing_for(Environment.DEVELOPMENT)) / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "one.csv").write_text(rows)
    text = page.read_text()
    for path, content in re.findall(r"^```\w+\n(?:#|--) (\S+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content)
    for line in re.findall(r"^drls .*", text, re.MULTILINE):
        assert run(shlex.split(line)[1:]) == 0, line
