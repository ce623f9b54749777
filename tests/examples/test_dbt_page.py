"""docs/how-to/dbt.md: its files, put where it says, and its commands, typed one after another."""

from __future__ import annotations

from pathlib import Path

import pytest
from compared import rows_of
from typed import work_through

from drls_dagster.settings import Settings

PAGE = Path(__file__).parents[2] / "docs/how-to/dbt.md"


@pytest.mark.slow
def test_what_the_page_says_works(engine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = "customer,price\nWei,15\nAda,8\nAda,4.25\nBo,9\n"
    work_through(PAGE, engine, tmp_path, monkeypatch, ["sales.customers"], dbt_orders=orders)
    assert rows_of(engine, "sales.customers", ["customer"]) == [
        {"customer": "Ada", "spent": 12.25}, {"customer": "Wei", "spent": 15.0}
    ]  # fmt: skip
