"""env, demote, retire, rollback, freeze, stop-runs, policy."""

from __future__ import annotations

from pathlib import Path

from lifecycle.domain.environment import Environment
from tests.drls_dagster.cli.lifecycle.shell import Shell


def test_env_says_what_is_active_where_now_and_then(shell: Shell) -> None:
    shell.save()
    then = shell.clock.now().isoformat()
    shell.clock.advance(hours=1)
    shell.save(rows=2)
    assert shell.active() == {"development": 2}
    before = shell("env", "development", "--at", then, "--pipeline", "flights", "--json", by="vic").json
    assert [one["version"] for one in before["active"]] == [1]
    assert "development" in shell("env", by="vic").out
    assert "is not a time" in shell("env", "--at", "yesterday", fails=2).err


def test_env_says_how_productions_tables_stood_and_where_that_came_from(shell: Shell) -> None:
    shell.save()
    before = shell.clock.now().isoformat()
    shell.clock.advance(hours=1)
    shell.to_production()
    promoted = shell.clock.now()
    in_uat = [shell.plane.head(table, "uat") for table in ("flights.daily", "flights.late")]
    shell.clock.advance(hours=1)
    shell.run_in(Environment.PRODUCTION)
    assert shell("env", "production", "--at", before, "--json").json["active"] == []

    (then,) = shell("env", "production", "--at", promoted.isoformat(), "--json", by="vic").json["active"]
    assert then["approved_by"] == ["lea"]
    assert then["request"] is not None
    assert [(one["table"], int(one["snapshot"])) for one in then["tables"]] == [
        ("flights.daily", in_uat[0]),
        ("flights.late", in_uat[1]),
    ]
    raw = shell.plane.head("flights_raw.flights", "main")
    for one in then["tables"]:
        assert (one["version"], one["request"], one["since"]) == (1, then["request"], then["since"])
        assert one["run_id"].endswith("-run-1")
        assert [(read["name"], int(read["snapshot"])) for read in one["inputs"]] == [("flights_raw.flights", raw)]
    (now,) = shell("env", "production", "--json").json["active"]
    assert int(now["tables"][0]["snapshot"]) == shell.plane.head("flights.daily", "main") != in_uat[0]
    assert now["tables"][0]["request"] is None
    shown = shell("env", "production").out
    assert f"flights_raw.flights@{raw}" in shown
    assert "lea" in shown


def test_demote_takes_a_version_out_of_uat(shell: Shell) -> None:
    shell.save()
    assert "is not active in UAT" in shell("demote", "flights", "--reason", "x", by="lea", fails=1).err
    shell.to_uat()
    shell("demote", "flights", by="lea", fails=2)
    assert "needs the role LeadDataEngineer" in shell("demote", "flights", "--reason", "wrong", by="ada", fails=1).err
    for _ in range(2):
        ended = shell("demote", "flights@1", "--reason", "wrong", "--key", "k", "--json", by="lea").json
        assert (ended["environment"], ended["version"]) == ("uat", 1)
    assert shell.active() == {"development": 1, "qa": 1}
    assert "nothing to demote" in shell("demote", "flights@1", "--reason", "wrong", by="lea", fails=1).err


def test_retire_and_rollback(shell: Shell) -> None:
    shell.save()
    shell.to_production()
    assert "no earlier release" in shell("rollback", "flights", "--reason", "bad", by="lea", fails=1).err
    shell.save(rows=2)
    shell.to_production(2)
    assert shell.active()["production"] == 2
    assert "v1, production → production" in shell("rollback", "flights", "--plan", by="vic").out
    shell("rollback", "flights", "--reason", "bad", by="ada", fails=1)
    shell("rollback", "flights", by="lea", fails=2)
    shell("rollback", "flights", "--consent", "sha256:0", "--reason", "bad", by="lea", fails=2)
    assert "is done" in shell("rollback", "flights", "--reason", "bad", by="lea").out
    assert shell.active()["production"] == 1
    shell("retire", "flights", "--reason", "over", by="ada", fails=1)
    assert shell("retire", "flights", "--reason", "over", "--json", by="lea").json["version"] == 1
    assert "production" not in shell.active()


def test_data_goes_back_only_with_consent_to_the_plan(shell: Shell) -> None:
    shell.save()
    shell.to_production()
    shell.save(rows=2)
    shell.to_production(2)
    plan = shell("rollback", "flights", "--data", "--plan", "--json", by="lea").json
    assert len(plan["undone"]) == 2
    head = shell.plane.head("flights.daily", "main")
    assert "consent to sha256:" in shell("rollback", "flights", "--data", "--reason", "bad", by="lea", fails=1).err
    shell("rollback", "flights", "--data", "--consent", plan["digest"], "--reason", "bad", by="lea")
    assert shell.plane.head("flights.daily", "main") != head


def test_l9_a_freeze_holds_promotions_until_it_is_lifted(shell: Shell) -> None:
    shell.save()
    shell("freeze", "qa", by="lea", fails=2)
    shell("freeze", "qa", "--reason", "audit", by="ada", fails=1)
    first = shell("freeze", "qa", "--reason", "audit", "--json", by="lea").json
    assert shell("freeze", "qa", "--reason", "audit", "--json", by="lea").json == first
    assert "freeze 1: QA, audit (lea)" in shell("env", by="vic").out
    assert "waiting: QA is frozen: audit" in shell("promote", "flights", "--to", "qa", by="ada").out
    assert "lifted" in shell("freeze", "qa", "--lift", by="lea").out
    assert "no freeze to lift" in shell("freeze", "qa", "--lift", by="lea").out
    assert "is done" in shell("promote", "flights", "--to", "qa", by="ada").out


def test_l9_stop_runs_is_for_one_pipeline_or_for_all(shell: Shell) -> None:
    shell.save()
    assert "flights in development" in shell("stop-runs", "development", "flights", "--reason", "leak", by="lea").out
    shell("stop-runs", "development", "--reason", "leak", by="lea")
    holds = shell("env", "--json").json["holds"]
    assert [(one["kind"], one["pipeline"]) for one in holds] == [("stop", "flights"), ("stop", None)]
    shell("stop-runs", "development", "flights", "--lift", by="lea")
    assert [one["pipeline"] for one in shell("env", "development", "--json").json["holds"]] == [None]
    assert (
        "there is no pipeline 'nothing'" in shell("stop-runs", "qa", "nothing", "--reason", "x", by="lea", fails=1).err
    )


def test_a_policy_is_set_field_by_field_by_an_admin(shell: Shell, tmp_path: Path) -> None:
    assert "1 LeadDataEngineer" in shell("policy", "list", by="vic").out
    shell("policy", "set", "uat", "--quorum", "2 LeadDataEngineer", by="lea", fails=1)
    shell("policy", "set", "uat", "--quorum", "2 LeadDataEngineer")
    found = shell("policy", "set", "uat", "--soak", "1d", "--json").json
    assert (found["body"]["quorum"], found["body"]["soak"]) == ("2 LeadDataEngineer", "1d")
    assert shell("policy", "set", "uat", "--soak", "1d", "--json").json["revision"] == found["revision"]
    file = tmp_path / "windows.yaml"
    file.write_text(
        "windows: [{name: weekend, start: 2026-01-02T16:00, duration: 64h, rule: 'FREQ=WEEKLY;BYDAY=FR', "
        "timezone: Europe/Berlin}]\n"
    )
    shell("policy", "set", "uat", "--file", str(file))
    assert "weekend" in shell("policy", "show", "uat", by="vic").out


def test_a_pipeline_may_have_a_policy_of_its_own(shell: Shell) -> None:
    shell.save()
    assert "no policy of its own" in shell("policy", "show", "uat", "flights", fails=1).err
    shell("policy", "set", "uat", "flights", "--approvals", "solo")
    assert [one["pipeline"] for one in shell("policy", "list", "--json").json] == [None, "flights", None]
    shell("policy", "unset", "uat", "flights")
    shell("policy", "show", "uat", "flights", fails=1)


def test_a_policy_that_cannot_be_read_is_wrong_use(shell: Shell) -> None:
    assert "cannot read" in shell("policy", "set", "uat", "--quorum", "somebody", fails=2).err
    assert "expires" in shell("policy", "set", "uat", "--expires", "soon", fails=2).err
    assert "no approval" in shell("policy", "set", "qa", "--expires", "1d", fails=2).err
    shell("policy", "set", "uat", fails=2)
