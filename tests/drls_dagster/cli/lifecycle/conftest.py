"""A DRLS_HOME with people, made once by the commands themselves and copied for each test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.drls_dagster.cli.lifecycle.shell import PASSWORD, PEOPLE, Shell


@pytest.fixture
def fresh(drls_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Nothing was started yet."""
    return Shell(drls_home, {}, monkeypatch, capsys)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("template")


@pytest.fixture
def shell(fresh: Shell, template: Path) -> Shell:
    """Ada (DataEngineer), Lea and Leo (LeadDataEngineers), Vic (Viewer), and the first Admin."""
    made = template / "home"
    if not made.exists():
        _make(fresh, made)
        shutil.rmtree(fresh.home)
    shutil.copytree(made, fresh.home)
    fresh.tokens = json.loads((made / "tokens.json").read_text())
    return fresh


def _make(shell: Shell, to: Path) -> None:
    shell("db", "upgrade", by=None)
    shell.tokens["admin"] = (shell.home / "secret").read_text().strip()
    for name, role in PEOPLE.items():
        shell("user", "add", name, "--email", f"{name}@example.org", "--verified")
        shell("user", "grant", name, role)
        shell("user", "password", name, stdin=PASSWORD)
        shell("login", name, by=None, stdin=PASSWORD)
        shell.tokens[name] = (shell.home / "secret").read_text().strip()
    (shell.home / "secret").unlink()
    (shell.home / "tokens.json").write_text(json.dumps(shell.tokens))
    shutil.copytree(shell.home, to)
