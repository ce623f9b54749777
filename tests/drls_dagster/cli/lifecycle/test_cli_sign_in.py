"""First start, login, logout, whoami, tokens (A1)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.settings import load_settings
from lifecycle.audit import load_signing_key
from lifecycle.store.store import Store
from tests.drls_dagster.cli.lifecycle.shell import PASSWORD, Shell

DRLS = [sys.executable, "-m", "drls_dagster.cli.main"]


def test_a1_the_first_start_leaves_the_first_admins_token_to_its_owner_alone(fresh: Shell) -> None:
    said = fresh("whoami", by=None)
    token = fresh.home / "secret"
    assert said.err == f"First start: you are admin, an Admin. Your token is in {token}.\n"
    assert "Admin on everything" in said.out
    assert token.stat().st_mode & 0o777 == 0o600
    assert fresh.home.stat().st_mode & 0o777 == 0o700
    assert fresh("whoami", by=None).err == ""


def test_first_starts_at_once_end_as_one(fresh: Shell) -> None:
    started = [
        subprocess.Popen([*DRLS, "whoami"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    told = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    assert sum("First start" in err for _, err in told) == 1


def test_a_first_start_that_was_interrupted_is_finished_by_the_next(fresh: Shell) -> None:
    settings = load_settings()
    settings.home.mkdir()
    key = load_signing_key(signing_key_file(settings))
    Store.create(store_url(settings), key, fresh.clock).close()
    assert "First start" in fresh("whoami", by=None).err


def test_the_exit_code_of_the_process_is_1_when_nobody_is_signed_in(local: Shell) -> None:
    done = subprocess.run([*DRLS, "pipeline", "list"], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: nobody is signed in; run: drls login\n"


@pytest.mark.parametrize(
    "command", [["pipeline", "list"], ["env"], ["policy", "list"], ["user", "list"], ["audit", "log"]]
)
def test_a1_a_wrong_token_may_not_even_read(shell: Shell, command: list[str]) -> None:
    shell.tokens["eve"] = "drls_personal_wrong"
    said = shell(*command, by="eve", fails=1)
    assert said.out == ""
    assert "this token is not valid" in said.err


@pytest.mark.parametrize("url", ["http://drls.example.org", "http://192.0.2.7:3000", "http://127.0.0.1.example.org"])
def test_a_token_is_not_sent_over_plain_http_to_another_machine(
    local: Shell, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    local.point_to(url)
    assert "use https://, or set DRLS_INSECURE_HTTP=1" in local("whoami", by="ada", fails=2).err
    # No host of these names answers: refused is not the same as not reached.
    monkeypatch.setenv("DRLS_INSECURE_HTTP", "1")
    local.point_to("http://drls.invalid")
    assert "cannot reach http://drls.invalid" in local("whoami", by="ada", fails=1).err


def test_a_token_that_others_can_read_is_not_used(shell: Shell) -> None:
    shell("login", by=None, stdin=shell.tokens["ada"])
    shell.kept.chmod(0o644)
    assert "chmod 600" in shell("whoami", by=None, fails=1).err


def test_login_with_a_password_keeps_a_token_and_no_password(shell: Shell) -> None:
    said = shell("login", "ada", by=None, stdin=f"{PASSWORD}\n")
    assert "Signed in as ada" in said.out
    assert PASSWORD not in shell.kept.read_text()
    assert shell("whoami", "--json", by=None).json["name"] == "ada"


def test_login_with_a_wrong_password_keeps_nothing(shell: Shell) -> None:
    assert "wrong account name or password" in shell("login", "ada", by=None, stdin="wrong", fails=1).err
    assert not shell.kept.exists()


def test_login_waits_after_wrong_passwords(shell: Shell) -> None:
    for _ in range(5):
        shell("login", "ada", by=None, stdin="wrong", fails=1)
    assert "too many wrong attempts" in shell("login", "ada", by=None, stdin=PASSWORD, fails=1).err


def test_login_with_nothing_is_wrong_use(shell: Shell) -> None:
    shell("login", by=None, stdin="", fails=2)


def test_login_beside_a_token_in_the_environment_is_refused(shell: Shell) -> None:
    assert "DRLS_TOKEN" in shell("login", "ada", by="lea", stdin=PASSWORD, fails=2).err


def test_logout_forgets_the_token_and_repeating_it_is_harmless(shell: Shell) -> None:
    shell("login", by=None, stdin=shell.tokens["ada"])
    assert "Signed out" in shell("logout", by=None).out
    assert "not signed in" in shell("logout", by=None).out
    shell("whoami", by=None, fails=1)
    shell("whoami", by="ada")


def test_logout_does_not_shut_the_only_admin_out(fresh: Shell) -> None:
    fresh("whoami", by=None)
    assert "drls user password admin" in fresh("logout", by=None, fails=1).err
    assert (fresh.home / "secret").exists()
    fresh("user", "password", "admin", by=None, stdin=PASSWORD)
    fresh("logout", by=None)
    fresh("login", "admin", by=None, stdin=PASSWORD)


def test_login_does_not_push_the_only_admins_token_out(local: Shell) -> None:
    local("login", by=None, stdin=local.tokens["admin"])
    assert "drls user password admin" in local("login", "ada", by=None, stdin=PASSWORD, fails=1).err
    assert local("whoami", "--json", by=None).json["name"] == "admin"
    local("login", "ada", "--force", by=None, stdin=PASSWORD)
    local("login", "lea", by=None, stdin=PASSWORD)


def test_an_expired_token_is_refused(shell: Shell) -> None:
    shell.clock.advance(days=31)
    assert "expired" in shell("whoami", by="ada", fails=1).err


def test_a_token_for_reading_cannot_write_or_widen_itself(shell: Shell) -> None:
    shell.tokens["reader"] = shell("token", "issue", "dashboard", by="lea").out.strip()
    shell("pipeline", "list", by="reader")
    assert "write" in shell("pipeline", "save", shell.file(), by="reader", fails=1).err
    assert "write" in shell("token", "issue", "x", "--scope", "write", by="reader", fails=1).err


def test_tokens_are_listed_without_their_secret_and_end_when_revoked(shell: Shell) -> None:
    issued = shell(
        "token", "issue", "ci", "--scope", "read", "--scope", "write", "--days", "3", "--json", by="ada"
    ).json
    shell.tokens["ci"] = issued["secret"]
    listed = shell("token", "list", "--json", by="ada").json
    assert [one["name"] for one in listed][-1] == "ci"
    assert issued["secret"] not in str(listed)
    shell("token", "revoke", str(issued["id"]), by="leo", fails=1)
    shell("token", "revoke", str(issued["id"]), by="ada")
    shell("whoami", by="ci", fails=1)


def test_a_service_account_gets_its_token_from_an_admin_and_never_approves(shell: Shell) -> None:
    shell("user", "add", "bot", "--acts-for", "ada")
    shell("user", "grant", "bot", "DataEngineer")
    refused = shell("token", "issue", "agent", "--for", "bot", "--scope", "approve", fails=1)
    assert "never approve" in refused.err
    issued = shell("token", "issue", "agent", "--for", "bot", "--scope", "read", "--scope", "write")
    shell.tokens["bot"] = issued.out.strip()
    assert "bot" in shell("whoami", by="bot").out
    shell.save(by="bot")


def test_ones_own_password_takes_the_current_one_and_ends_every_token(shell: Shell) -> None:
    """Finding 12; failed on 0.1.0: whoever had a token set a password, and signed in with it."""
    fresh = "another long password"
    assert (
        "wrong account name or password"
        in shell("user", "password", "ada", by="ada", stdin=f"wrong wrong wrong\n{fresh}\n", fails=1).err
    )
    shell("user", "password", "ada", by="ada", stdin=f"{PASSWORD}\n{fresh}\n")
    assert "not valid" in shell("whoami", by="ada", fails=1).err or "expired" in shell("whoami", by="ada", fails=1).err
    shell("login", "ada", by=None, stdin=fresh)


def test_a_token_for_less_sets_no_password(shell: Shell) -> None:
    """Finding 12; failed on 0.1.0."""
    shell.tokens["narrow"] = shell("token", "issue", "x", "--scope", "read", "--scope", "write", by="lea").out.strip()
    shell("user", "password", "lea", by="narrow", stdin="\nanother long password\n", fails=1)
    shell("login", "lea", by=None, stdin=PASSWORD)
