"""user and team."""

from __future__ import annotations

from tests.drls_dagster.cli.lifecycle.shell import PASSWORD, Shell


def test_only_an_admin_adds_people_and_grants(shell: Shell) -> None:
    assert "needs the role Admin" in shell("user", "add", "eve", by="lea", fails=1).err
    assert shell("user", "add", "eve", "--email", "eve@example.org", "--json").json["grants"] == []
    assert "an account named 'eve' already exists" in shell("user", "add", "eve", fails=1).err
    granted = shell("user", "grant", "eve", "DataEngineer", "--on", "domain=risk", "--json").json
    assert (granted["scope"], granted["scope_value"]) == ("tag", "domain=risk")
    assert shell("user", "grant", "eve", "DataEngineer", "--on", "domain=risk", "--json").json == granted
    shell("user", "grant", "eve", "Emperor", fails=2)
    shell("user", "grant", "nobody", "Viewer", fails=1)
    shell("user", "add", "no body", fails=2)


def test_a_revoked_grant_is_gone_and_the_last_admin_stays(shell: Shell) -> None:
    grants = {one["name"]: one["grants"] for one in shell("user", "list", "--json").json}
    shell("user", "revoke", str(grants["ada"][0]["id"]))
    shell("pipeline", "save", shell.file(), by="ada", fails=1)
    assert "last Admin" in shell("user", "revoke", str(grants["admin"][0]["id"]), fails=1).err
    assert "last Admin" in shell("user", "disable", "admin", fails=1).err


def test_an_account_is_linked_with_somebody_of_the_provider(shell: Shell) -> None:
    subject = "https://id.example.org|248289"
    shell("user", "link", "ada", subject, by="lea", fails=1)
    assert "ada, human" in shell("user", "link", "ada", subject).out
    assert "already linked to ada" in shell("user", "link", "vic", subject, fails=1).err
    assert "there is no account" in shell("user", "link", "nobody", subject, fails=1).err


def test_a_disabled_account_cannot_do_anything(shell: Shell) -> None:
    shell("user", "disable", "ada")
    shell("whoami", by="ada", fails=1)
    assert "disabled" in shell("user", "list", by="vic").out


def test_a_new_password_ends_every_token(shell: Shell) -> None:
    short, another = f"{PASSWORD}\nshort", f"{PASSWORD}\nanother long password"
    assert "at least 12 characters" in shell("user", "password", "ada", by="ada", stdin=short, fails=2).err
    shell("user", "password", "ada", by="lea", stdin=PASSWORD, fails=1)
    guessed = "not the password\nanother long password"
    assert "wrong account name or password" in shell("user", "password", "ada", by="ada", stdin=guessed, fails=1).err
    shell("whoami", by="ada")
    shell("user", "password", "ada", by="ada", stdin=another)
    shell("whoami", by="ada", fails=1)
    shell("login", "ada", by=None, stdin="another long password")


def test_an_agent_that_changes_things_without_asking_may_change_them(shell: Shell) -> None:
    issue = ("token", "issue", "--json", "--agent")
    assert shell(*issue, "claude").json["scopes"] == ["read"]
    assert shell(*issue, "nightly", "--unattended").json["scopes"] == ["read", "write"]
    assert shell(*issue, "nightly", "--unattended", "--scope", "read").json["scopes"] == ["read"]


def test_a_team_has_members_and_grants(shell: Shell) -> None:
    shell("team", "add", "risk", by="ada", fails=1)
    for _ in range(2):
        assert shell("team", "add", "risk", "--key", "k", "--json").json["members"] == []
    shell("team", "add", "risk", fails=1)
    shell("team", "grant", "risk", "LeadDataEngineer", "--on", "flights")
    shell("team", "join", "risk", "vic")
    assert shell("team", "join", "risk", "vic", "--json").json["members"] == ["vic"]
    assert "LeadDataEngineer on flights" in shell("whoami", by="vic").out
    assert "risk" in shell("team", "list", by="vic").out
    shell("team", "leave", "risk", "vic")
    assert shell("team", "list", "--json").json[0]["members"] == []
    assert "there is no team 'nobody'" in shell("team", "join", "nobody", "vic", fails=1).err


def test_who_may_see_one_pipeline_sees_only_that(shell: Shell) -> None:
    shell.save()
    shell("pipeline", "save", shell.file("trains"), by="ada")
    shell("user", "add", "eve")
    shell("user", "grant", "eve", "Viewer", "--on", "trains")
    shell("user", "password", "eve", stdin=PASSWORD)
    shell("login", "eve", by=None, stdin=PASSWORD)
    assert [one["name"] for one in shell("pipeline", "list", "--json", by=None).json] == ["trains"]
    assert [one["pipeline"] for one in shell("env", "--json", by=None).json["active"]] == ["trains"]
    shell("pipeline", "show", "flights", by=None, fails=1)
    shell("audit", "log", by=None, fails=1)
