"""What runs tell people: small, by run and node, and not for long."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from drls_dagster.ledger import About, open_ledger
from drls_dagster.ledger import told as module
from drls_dagster.ledger.tables import TOLD
from drls_dagster.settings import load_settings


def test_the_last_word_counts_and_each_run_has_its_own(drls_home: Path) -> None:
    ledger = open_ledger(load_settings(drls_home))
    ledger.note("run", "raw", About.COLUMNS, [["id", "int"]])
    ledger.note("run", "raw", About.COLUMNS, [["id", "bigint"]])
    ledger.note("run", "raw", About.ROWS, {"known": {}})
    ledger.note("other", "raw", About.COLUMNS, [])
    assert ledger.told("run", About.COLUMNS) == {"raw": [["id", "bigint"]]}
    assert ledger.told("other", About.ROWS) == {}


def test_rows_are_kept_as_long_as_the_branch_of_a_failed_check(drls_home: Path) -> None:
    ledger = open_ledger(load_settings(drls_home))
    for about in (About.ROWS, About.COLUMNS):
        ledger.note("run", "out", about, ["kept"])
    with ledger._database.write() as connection:
        connection.execute(TOLD.update().values(at=TOLD.c.at - 8 * 86_400))
    assert (ledger.told("run", About.ROWS), ledger.told("run", About.COLUMNS)) == ({}, {"out": ["kept"]})
    ledger.note("next", "out", About.ROWS, ["new"])
    with ledger._database.read() as connection:
        assert connection.execute(sa.select(TOLD.c.run_id).where(TOLD.c.topic == "rows")).scalars().all() == ["next"]


def test_more_than_people_read_is_not_kept(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(load_settings(drls_home))
    ledger.note("run", "out", About.ROWS, "x" * module.LARGEST)
    assert ledger.told("run", About.ROWS) == {}
    monkeypatch.setattr(module, "MOST", 2)
    for node in ("a", "b", "c"):
        ledger.note("run", node, About.ROWS, node)
    assert ledger.told("run", About.ROWS) == {"a": "a", "b": "b"}


def test_the_pins_of_a_run_are_those_of_the_run_that_it_resumes(drls_home: Path) -> None:
    ledger = open_ledger(load_settings(drls_home))
    ledger.pin("first", "0", "raw", lambda: {"snapshot": 1})
    ledger.execute("second", "first")
    assert ledger.pins_of("second") == {"raw": {"snapshot": 1}}
    assert ledger.pins_of("third") == {}
