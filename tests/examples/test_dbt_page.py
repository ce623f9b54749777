"""docs/how-to/dbt.md: its files, put where it says, and its commands, typed one after another."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from compared import rows_of

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

PAGE = (Path(__file__).parents[2] / "docs/how-to/dbt.md").read_text()


@pytest.mark.slow
def test_what_the_page_says_works(engine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    monkeypatch.setenv("DAGSTER_HOME", "")  # the command sets it for its process, which here is that of the tests
    monkeypatch.chdir(tmp_path)
    catalog = load_catalog(engine)
    if catalog.table_exists(("sales__development", "customers")):  # of an earlier run of this test
        catalog.drop_table(("sales__development", "customers"))
    orders = Path(engine.landing_for(Environment.DEVELOPMENT)) / "dbt_orders"
    orders.mkdir(parents=True, exist_ok=True)
    (orders / "one.csv").write_text("customer,price\nWei,15\nAda,8\nAda,4.25\nBo,9\n")
    for path, text in re.findall(r"^```\w+\n(?:#|--) (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    for line in re.findall(r"^drls .*", PAGE, re.MULTILINE):
        assert run(shlex.split(line)[1:]) == 0, line
    assert rows_of(engine, "sales.customers", ["customer"]) == [
        {"customer": "Ada", "spent": 12.25}, {"customer": "Wei", "spent": 15.0}
    ]  # fmt: skip
