"""drift, refresh, approvals refresh, review: what people do afterwards (D9, L7, L8, L15)."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from tests.drls_dagster.cli.lifecycle.shell import Shell


def drifted(shell: Shell) -> int:
    """Production is released, and somebody wrote to its table past DRLS; the drift's number."""
    shell.save()
    shell.to_production()
    shell.plane.commit("flights.daily")
    shell.reconcile()
    (found,) = shell("drift", "list", "--json", by="vic").json
    assert (found["pipeline"], found["environment"], found["table"]) == ("flights", "production", "flights.daily")
    return found["id"]


def test_l15_adopted_drift_is_answered_for_from_then_on(shell: Shell) -> None:
    drift = str(drifted(shell))
    assert "flights.daily" in shell("drift", "list", "--pipeline", "flights", by="vic").out
    assert shell("drift", "list", "--pipeline", "trains", "--json", by="vic").json == []
    assert "needs the role LeadDataEngineer" in shell("drift", "adopt", drift, "--reason", "x", by="ada", fails=1).err
    shell("drift", "adopt", drift, by="lea", fails=2)
    for _ in range(2):
        said = shell("drift", "adopt", drift, "--reason", "hand repair", "--key", "k", "--json", by="lea").json
        assert (said["state"], said["closed_by"], said["pipeline"]) == ("adopted", "lea", "flights")
    assert "already been settled" in shell("drift", "adopt", drift, "--reason", "again", by="leo", fails=1).err
    assert shell("drift", "list", "--json").json == []
    shell.reconcile()
    assert shell("drift", "list", "--json").json == []


def test_l15_reverted_drift_puts_the_table_back(shell: Shell) -> None:
    shell.save()
    shell.to_production()
    released = shell.plane.head("flights.daily", "main")
    shell.plane.commit("flights.daily")
    shell.reconcile()
    assert "reverted, foreign" in shell("drift", "revert", "1", "--reason", "foreign", by="lea").out
    assert shell.plane.head("flights.daily", "main") == released
    assert "there is no drift 7" in shell("drift", "revert", "7", "--reason", "x", by="lea", fails=1).err


def test_l15_a_revert_that_waits_for_the_catalog_says_so(shell: Shell) -> None:
    """Findings 17 and 19: what has begun is no failure, and the reconciler carries on with it."""
    drift = str(drifted(shell))
    shell.plane.say("unreachable", True)
    said = shell("drift", "revert", drift, "--reason", "foreign", by="lea").out
    assert f"Drift {drift}, flights.daily in production: reverting, foreign; waiting: the catalog does not" in said
    (listed,) = shell("drift", "list", "--json", by="vic").json
    assert (listed["state"], listed["outcome"]) == ("reverting", "the catalog does not answer")
    assert "waiting: the catalog" in shell("drift", "list", by="vic").out.replace("\n", " ")
    assert "is being reverted" in shell("drift", "adopt", drift, "--reason", "x", by="leo", fails=1).err
    shell.plane.say("unreachable", False)
    shell.reconcile()
    assert shell("drift", "list", "--json").json == []


def test_a_refresh_asks_for_branches_fresh_off_main(shell: Shell) -> None:
    shell.save()
    assert "has no evidence session in UAT" in shell("session", "new", "flights", "--env", "uat", by="ada", fails=1).err
    shell("promote", "flights", "--to", "qa", by="ada")
    shell.run_in(Environment.QA)
    shell("session", "new", "flights", "--env", "qa", by="vic", fails=1)
    first = shell("session", "new", "flights", "--env", "qa", "--json", by="ada").json
    assert (first["environment"], first["pipeline"], first["state"]) == ("qa", "flights", "pending")
    assert shell("session", "new", "flights", "--env", "qa", "--json", by="ada").json == first
    # Its name before.
    assert shell("refresh", "flights", "--env", "qa", "--json", by="ada").json == first
    refused = shell("promote", "flights", "--to", "uat", by="ada", fails=1)
    assert "earlier runs in QA no longer count as evidence" in refused.err
    shell.run_in(Environment.QA)
    shell("promote", "flights", "--to", "uat", by="ada")
    assert "has no evidence session in production" in shell(
        "session", "new", "flights", "--env", "production", by="ada", fails=1
    ).err  # fmt: skip


def test_l8_a_refreshed_request_takes_the_place_of_the_old_one(shell: Shell) -> None:
    shell.save()
    shell("promote", "flights", "--to", "qa", by="ada")
    shell.run_in(Environment.QA)
    old = shell("promote", "flights", "--to", "uat", "--json", by="ada").json["id"]
    shell("approvals", "refresh", str(old), by="vic", fails=1)
    for _ in range(2):
        fresh = shell("approvals", "refresh", str(old), "--key", "k", "--json", by="ada").json
        assert (fresh["refresh_of"], fresh["state"]) == (old, "requested")
    assert shell("approvals", "show", str(old), "--json").json["state"] == "withdrawn"
    shell.approve(fresh["id"])
    assert "is done and cannot be refreshed" in shell("approvals", "refresh", str(fresh["id"]), by="ada", fails=1).err


def test_l7_an_unreviewed_release_is_listed_until_somebody_independent_has_looked(shell: Shell) -> None:
    shell.save()
    glass = ("promote", "flights@1", "--to", "production", "--break-glass", "--reason", "down", "--json")
    request = str(shell(*glass, by="lea").json["id"])
    assert [str(one["id"]) for one in shell("review", "list", "--json", by="vic").json] == [request]
    assert "break-glass" in shell("review", "list", by="vic").out
    for maker in ("ada", "lea"):
        shell("review", "approve", request, "--reason", "fine", by=maker, fails=1)
    for _ in range(2):
        shell("review", "approve", request, "--reason", "fine", "--key", "k", "--json", by="leo")
    assert shell("review", "list", "--json", by="vic").json == []
    assert "reviewed, right" not in shell("review", "list").out
    (label,) = [one["label"] for one in shell("env", "production", "--json").json["active"]]
    assert label == "unreviewed"
    assert "has already decided" in shell("review", "reject", request, "--reason", "wrong", by="leo", fails=1).err


def test_a_review_may_say_no_and_needs_a_release_and_a_reason(shell: Shell) -> None:
    shell.save()
    shell("promote", "flights@1", "--to", "production", "--break-glass", "--reason", "down", by="lea")
    shell("review", "reject", "1", by="leo", fails=2)
    assert "different plan" in shell("review", "reject", "1", "--plan", "x", "--reason", "x", by="leo", fails=1).err
    assert "reviewed, wrong: untested" in shell("review", "reject", "1", "--reason", "untested", by="leo").out
    assert shell.active()["production"] == 1
