"""A DRLS_HOME with people, made once by the commands themselves and copied for each test."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from lifecycle.usecases.context import Context
from tests.drls_dagster.cli.lifecycle.shell import PASSWORD, PEOPLE, Shell
from tests.fakes.passwords import CHEAP
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import SETUP


@pytest.fixture
def fresh(drls_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Nothing was started yet."""
    return Shell(drls_home, {}, monkeypatch, capsys)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("template")


@pytest.fixture
def local(fresh: Shell, template: Path) -> Shell:
    """Ada (DataEngineer), Lea and Leo (LeadDataEngineers), Vic (Viewer), and the first Admin, at one store."""
    made = template / "home"
    if not made.exists():
        _make(fresh, made)
        shutil.rmtree(fresh.home)
    shutil.copytree(made, fresh.home)
    fresh.tokens = json.loads((made / "tokens.json").read_text())
    return fresh


@pytest.fixture(params=["store", "server"])
def shell(request: pytest.FixtureRequest, local: Shell) -> Iterator[Shell]:
    """The same people, at the store and at a server on it: every command does the same."""
    if request.param == "store":
        yield local
        return
    with serving(local) as url:
        local.point_to(url)
        yield local


@contextmanager
def serving(shell: Shell) -> Iterator[str]:
    """A server on the shell's store; its address."""
    with shell.store() as store, socket.create_server(("127.0.0.1", 0)) as listening:
        app = site_of(Context(store, shell.plane, shell.dagster, shell.clock, "server", passwords=CHEAP)).api
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def _make(shell: Shell, to: Path) -> None:
    # Each test's clock starts anew: all of this was the day before.
    shell.clock.advance(days=-1)
    shell("db", "upgrade", by=None)
    shell.tokens["admin"] = (shell.home / "secret").read_text().strip()
    (shell.home / "secret").unlink()
    for name, role in PEOPLE.items():
        shell("user", "add", name, "--email", f"{name}@example.org", "--verified")
        shell("user", "grant", name, role)
        shell("user", "password", name, stdin=PASSWORD)
        shell("login", name, by=None, stdin=PASSWORD)
        shell.tokens[name] = (shell.home / "secret").read_text().strip()
    _have_own_passwords(shell)
    shell.clock.advance(days=1)
    (shell.home / "secret").unlink()
    (shell.home / "tokens.json").write_text(json.dumps(shell.tokens))
    shutil.copytree(shell.home, to)


def _have_own_passwords(shell: Shell) -> None:
    """As if each of them had replaced the password that the Admin gave them: one pair of hands is one person (L6)."""
    with shell.store() as store, store.write(SETUP, "change_password") as unit:
        for name in PEOPLE:
            person = unit.people.named(name)
            unit.people.change(person.id, password_hash=person.password_hash)
            unit.audit("password.set", f"person:{name}")
