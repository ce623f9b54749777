"""What all tests share: a DRLS_HOME of their own, and one engine."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import event

from drls_dagster import settings
from drls_dagster.ledger import close_ledgers
from lifecycle.store import engine as store_engine
from tests import collecting
from tests.compiled_sql import compiled_once
from tests.migrated_databases import migrated_once
from tests.running_engine import running_engine

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files unread that have no test with a marker that `-m` asks for."""
    given = [Path(argument.split("::")[0]).resolve() for argument in config.args]
    if collection_path in given or not (collection_path.is_dir() or collection_path.name.startswith("test_")):
        return None
    wanted = collecting.asked_for(config.option.markexpr)
    return True if any(not collecting.may_hold(collection_path, marker) for marker in wanted) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if wrong := collecting.missed(
        (item.path, item.nodeid, {mark.name for mark in item.iter_markers()}) for item in items
    ):
        raise pytest.UsageError("\n".join(wrong[:20]))


# No test fails because the machine was busy.
hypothesis_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("untimed")

# A shell that starts something with & makes it ignore SIGINT, and Python then has no handler for it: neither Ctrl-C nor a
# test that interrupts itself would arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def drls_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """DRLS_HOME in a temporary folder, not made yet; no DRLS setting of who runs the tests."""
    for name in [name for name in os.environ if name.startswith("DRLS_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("DRLS_HOME", str(home))
    # Settings are read once per home and process; a test may change its environment.
    settings._load.cache_clear()
    yield home
    close_ledgers()


@pytest.fixture(scope="session", autouse=True)
def no_power_failure() -> Iterator[None]:
    """SQLite need not wait for the disk: tests kill processes, and that loses nothing; none cuts the power.

    Of the store, of Dagster's storage (a run of twelve partitions commits a thousand times), catalog and ledger.
    """
    given, store_engine.SYNCHRONOUS = store_engine.SYNCHRONOUS, "OFF"
    event.listen(sa.Engine, "connect", _need_not_wait)
    yield
    event.remove(sa.Engine, "connect", _need_not_wait)
    store_engine.SYNCHRONOUS = given


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    with compiled_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def databases_migrated_once() -> Iterator[None]:
    with migrated_once():
        yield


def _need_not_wait(connection: object, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, one for all tests that open pages: Playwright runs once in a thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[settings.Settings]:
    """The settings of a home with a running engine: one for all tests that ask, gone at the end."""
    with running_engine(tmp_path_factory) as found:
        yield found
