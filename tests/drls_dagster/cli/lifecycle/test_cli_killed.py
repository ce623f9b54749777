"""kill -9 where a command writes files: the first start, and an export."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from drls_dagster.cli.main import run
from drls_dagster.lifecycle_client import Adapters
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.settings import load_settings
from lifecycle.audit import load_signing_key
from lifecycle.store.store import Store
from tests.drls_dagster.cli.lifecycle.shell import Shell


def killed_after(writes: int, act: Callable[[], int]) -> bool:
    """Runs `act` in a process that dies by SIGKILL after so many writes, files included; False when it ended before."""
    child = os.fork()
    if child == 0:
        left = [writes]

        def wrote(*_: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def statement(_c: Any, _cu: Any, text: str, *_: Any) -> None:
            if text.split(" ", 1)[0] in {"INSERT", "UPDATE", "DELETE"}:
                wrote()

        event.listen(Engine, "after_cursor_execute", statement)
        event.listen(Engine, "commit", wrote)
        for owner, name in ((os, "open"), (os, "fsync"), (Path, "replace"), (Path, "write_bytes")):
            _count(owner, name, wrote)
        os._exit(act())
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _count(owner: Any, name: str, wrote: Callable[[], None]) -> None:
    whole = getattr(owner, name)

    def counted(*given: Any, **options: Any) -> Any:
        answer = whole(*given, **options)
        wrote()
        return answer

    setattr(owner, name, counted)


@pytest.mark.slow
def test_a1_a_first_start_that_is_killed_anywhere_leaves_an_installation_that_can_be_entered(fresh: Shell) -> None:
    settings = load_settings()
    settings.home.mkdir()
    Store.create(store_url(settings), load_signing_key(signing_key_file(settings)), fresh.clock).close()
    migrated = settings.home.with_name("migrated")
    shutil.copytree(settings.home, migrated)
    writes = 0
    while True:
        writes += 1
        was_killed = killed_after(writes, lambda: run(["whoami"], Adapters(clock=fresh.clock)))
        assert "Admin on everything" in fresh("whoami", by=None).out, f"killed after write {writes}"
        assert len(fresh("user", "list", "--json", by=None).json) == 1
        shutil.rmtree(settings.home)
        shutil.copytree(migrated, settings.home)
        if not was_killed:
            break
    assert writes > 10


@pytest.mark.slow
def test_an_export_that_is_killed_leaves_the_whole_file_or_none(local: Shell, tmp_path: Path) -> None:
    local.save()
    file = tmp_path / "flights.json"
    writes = 0
    while True:
        writes += 1
        if not killed_after(
            writes, lambda: run(["pipeline", "export", "flights", str(file)], Adapters(clock=local.clock))
        ):
            break
        if file.exists():
            local("verify", str(file))
            file.unlink()
        local("pipeline", "export", "flights", str(file))
        local("verify", str(file))
        file.unlink()
    assert writes > 2
