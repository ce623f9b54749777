"""A home with people, real tables, and operations that run in processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.maintenance import port
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings, load_settings
from lifecycle.audit import load_signing_key
from lifecycle.domain.operations import CompactOptions, Operation, OperationKind
from lifecycle.domain.tables import TableAt
from lifecycle.ports import SystemClock
from lifecycle.store.store import Store
from lifecycle.usecases.operate_table import start_operation
from tests.drls_dagster.maintenance.toy import CHILD, KINDS
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import Life
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    private_home(drls_home)
    return load_settings(drls_home)


@pytest.fixture
def life(settings: Settings) -> Iterator[Life]:
    """The lifecycle of the home, as the process of an operation opens it too."""
    key = load_signing_key(signing_key_file(settings))
    clock: Any = SystemClock()
    Store.create(store_url(settings), key, clock).close()
    store = Store.open(store_url(settings), key, clock)
    made = Life(store, settings.home, clock, plane=cast(Any, LakePlane(settings)))
    made.ctx = replace(
        made.ctx, tables=IcebergTables(settings), maintenance=TableMaintenance(settings, kinds=KINDS, child=CHILD)
    )
    yield made
    store.close()
    try:
        # An operation is over a moment before its process is.
        wait_until(lambda: not _children(), 60)
    finally:
        for one in _children():
            one.kill()


def _children() -> list[psutil.Process]:
    return [one for one in psutil.process_iter() if _is_child(one)]


def _is_child(process: psutil.Process, number: str | None = None) -> bool:
    """Whether it is the living process of an operation of ours, of any or of that number."""
    try:
        if process.ppid() != os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        told = process.cmdline()
        # The whole name of the module: Python's fork server has this folder's path among its arguments.
        return port.CHILD in " ".join(told) and number in (None, told[-1])
    except psutil.Error:
        return False


Start = Callable[..., Operation]


@pytest.fixture
def start(life: Life) -> Start:
    """Starts the toy operation as somebody: `start("lab.t", "wait", by="lea")`."""

    def made(table: str, where: str = "", *, by: str = "lea", ref: str | None = None, **more: Any) -> Operation:
        options = CompactOptions(where=where, **more)
        return start_operation(life.ctx, life.as_(by), OperationKind.COMPACT, TableAt(name=table), ref, options)

    return made


@pytest.fixture
def ended(life: Life) -> Callable[[Operation], Operation]:
    """How an operation ended, and that its process is gone."""

    def wait(started: Operation) -> Operation:
        wait_until(lambda: life.ctx.maintenance.operation(started.id).state.is_over, 180)
        # It still tells the audit log.
        wait_until(lambda: not [one for one in psutil.process_iter() if _is_child(one, str(started.id))])
        return life.ctx.maintenance.operation(started.id)

    return wait
