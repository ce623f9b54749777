"""docs/how-to/commands.md: its files, put where it says, and its commands, typed one after another."""

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

PAGE = (Path(__file__).parents[2] / "docs/how-to/commands.md").read_text()


@pytest.mark.slow
def test_what_the_page_says_works(engine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    monkeypatch.setenv("DAGSTER_HOME", "")  # the command sets it for its process, which here is that of the tests
    monkeypatch.chdir(tmp_path)
    catalog = load_catalog(engine)
    for table in ("customers", "counts"):
        if catalog.table_exists(("shop__development", table)):
            catalog.drop_table(("shop__development", table))
    orders = Path(engine.landing_for(Environment.DEVELOPMENT)) / "orders"
    orders.mkdir(parents=True, exist_ok=True)
    (orders / "one.csv").write_text("customer,price\nWei,1.5\nAda,2\nAda,0.25\n")
    for path, text in re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(text)
    for line in re.findall(r"^drls .*", PAGE, re.MULTILINE):
        assert run(shlex.split(line)[1:]) == 0, line
    assert rows_of(engine, "shop.customers", ["customer"]) == [
        {"customer": "Ada", "total": 2.25}, {"customer": "Wei", "total": 1.5}
    ]  # fmt: skip
    assert rows_of(engine, "shop.counts", ["customer"]) == [
        {"customer": "Ada", "orders": 2}, {"customer": "Wei", "orders": 1}
    ]  # fmt: skip
