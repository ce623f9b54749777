"""Finding 13: no command silently replaces the token for another store."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from drls_dagster import settings
from drls_dagster.cli.main import run
from lifecycle.store.engine import open_engine
from lifecycle.store.schema import SchemaState, schema_state


@pytest.fixture
def first(drls_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A home with a store; the environment then names another, new one. The token that is kept."""
    assert run(["whoami"]) == 0
    point_to(f"sqlite:///{tmp_path / 'other.db'}", monkeypatch)
    return (drls_home / "secret").read_text()


def point_to(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if url is None:
        monkeypatch.delenv("DRLS_LIFECYCLE__URL")
    else:
        monkeypatch.setenv("DRLS_LIFECYCLE__URL", url)
    settings._load.cache_clear()


@pytest.mark.parametrize(
    "command",
    [["whoami"], ["db", "upgrade"], ["pipeline", "list"], ["serve", "--port", "3998"], ["up", "--port", "3999"]],
)
def test_the_first_start_of_another_store_is_refused(
    first: str,
    command: list[str],
    drls_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Failed on 0.1.0: it replaced DRLS_HOME/secret, the only way into the first store."""
    assert run(command) == 1
    told = capsys.readouterr().err
    assert f"{drls_home / 'secret'} holds the token for sqlite:///{drls_home / 'lifecycle.db'}" in told
    assert f"the first start of sqlite:///{tmp_path / 'other.db'} would overwrite it" in told
    assert "use another DRLS_HOME for the new store, or move" in told
    assert (drls_home / "secret").read_text() == first
    point_to(None, monkeypatch)
    assert run(["whoami"]) == 0


def test_nothing_is_made_in_the_other_database(first: str, tmp_path: Path) -> None:
    """Failed on 0.1.0."""
    assert run(["whoami"]) == 1
    engine = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    assert schema_state(engine) is SchemaState.EMPTY
    engine.dispose()


def test_without_a_note_the_token_is_somebody_elses(
    first: str, drls_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DRLS 0.1.0 noted nothing. Failed on 0.1.0."""
    (drls_home / "secret.store").unlink(missing_ok=True)
    assert run(["whoami"]) == 1
    assert "holds the token for another store" in capsys.readouterr().err
    assert (drls_home / "secret").read_text() == first


def test_whoever_moves_the_token_away_starts_the_other_store(first: str, drls_home: Path) -> None:
    (drls_home / "secret").rename(drls_home / "secret-of-the-first")
    assert run(["whoami"]) == 0
    assert (drls_home / "secret").read_text() != first


def test_a_store_that_is_gone_does_not_cost_the_token(
    drls_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is not mounted looks like a new store. Failed on 0.1.0."""
    assert run(["whoami"]) == 0
    kept = (drls_home / "secret").read_text()
    (drls_home / "lifecycle.db").rename(tmp_path / "away.db")
    for companion in ("-wal", "-shm"):
        (drls_home / f"lifecycle.db{companion}").unlink(missing_ok=True)
    assert run(["whoami"]) == 1
    assert "would overwrite it" in capsys.readouterr().err
    (tmp_path / "away.db").replace(drls_home / "lifecycle.db")
    assert run(["whoami"]) == 0
    assert (drls_home / "secret").read_text() == kept


def test_login_at_another_store_does_not_push_the_token_out(
    first: str, drls_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other store did not know the token, so login took it for worthless. Failed on 0.1.0."""
    (drls_home / "secret").rename(drls_home / "aside")
    (drls_home / "secret.store").rename(drls_home / "aside.store")
    assert run(["whoami"]) == 0
    other = (drls_home / "secret").read_text()
    (drls_home / "aside").rename(drls_home / "secret")
    (drls_home / "aside.store").rename(drls_home / "secret.store")
    monkeypatch.setattr("sys.stdin", io.StringIO(other))
    assert run(["login"]) == 1
    assert "may be the only way into it" in capsys.readouterr().err
    assert (drls_home / "secret").read_text() == first
    monkeypatch.setattr("sys.stdin", io.StringIO(other))
    assert run(["login", "--force"]) == 0
    assert (drls_home / "secret").read_text() == other


def test_no_password_of_a_database_is_kept_or_shown(
    drls_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from drls_dagster.kept_tokens import keep_token

    point_to("postgresql+psycopg2://drls:hunter2@127.0.0.1:9/drls", monkeypatch)
    keep_token(settings.load_settings(), "drls_personal_x")
    assert "hunter2" not in (drls_home / "secret.store").read_text()
