"""docs/how-to/commands.md: its files, put where it says, and its commands, typed one after another."""

from __future__ import annotations

from pathlib import Path

import pytest
from compared import rows_of
from typed import work_through

from drls_dagster.settings import Settings

PAGE = Path(__file__).parents[2] / "docs/how-to/commands.md"


@pytest.mark.slow
def test_what_the_page_says_works(engine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = "customer,price\nWei,1.5\nAda,2\nAda,0.25\n"
    work_through(PAGE, engine, tmp_path, monkeypatch, ["shop.customers", "shop.counts"], orders=orders)
    assert rows_of(engine, "shop.customers", ["customer"]) == [
        {"customer": "Ada", "total": 2.25}, {"customer": "Wei", "total": 1.5}
    ]  # fmt: skip
    assert rows_of(engine, "shop.counts", ["customer"]) == [
        {"customer": "Ada", "orders": 2}, {"customer": "Wei", "orders": 1}
    ]  # fmt: skip
