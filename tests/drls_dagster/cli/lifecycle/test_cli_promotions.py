"""promote and approvals, by people who are not the same (L6)."""

from __future__ import annotations

import threading

from drls_dagster.cli import promote
from lifecycle.domain.environment import Environment
from tests.drls_dagster.cli.lifecycle.shell import Shell


def in_uat_soon(shell: Shell) -> int:
    """v1 ran in QA and is asked to go to UAT; the request's number."""
    shell.save()
    shell("promote", "flights", "--to", "qa", by="ada")
    shell.run_in(Environment.QA)
    return shell("promote", "flights", "--to", "uat", "--reason", "new season", "--json", by="ada").json["id"]


def test_the_way_to_production(shell: Shell) -> None:
    shell.save()
    shell.to_production()
    assert shell.active() == {"development": 1, "qa": 1, "uat": 1, "production": 1}
    assert [one.value for one in shell.dagster.changed][-1] == "production"
    done = shell("approvals", "list", "--all", "--to", "production", "--json", by="vic").json
    assert [(one["state"], one["requested_by"]) for one in done] == [("done", "ada")]


def test_a_plan_changes_nothing_and_says_what_is_in_the_way(shell: Shell) -> None:
    shell.save()
    out = shell("promote", "flights", "--to", "qa", "--plan", by="vic").out
    assert "development → QA" in out
    assert shell("approvals", "list", "--all", "--json").json == []
    shell("promote", "flights", "--to", "qa", by="ada")
    plan = shell("promote", "flights", "--to", "uat", "--plan", "--json", by="ada").json
    assert plan["problems"] == ["nothing has run in QA yet: run the pipeline in QA"]
    shell("promote", "flights", "--to", "uat", by="ada", fails=1)


def test_wrong_use_of_promote(shell: Shell) -> None:
    shell.save()
    assert "promote to QA" in shell("promote", "flights", "--to", "development", by="ada", fails=2).err
    shell("promote", "flights", "--to", "staging", by="ada", fails=2)
    assert "is not active in UAT; name a version" in shell("promote", "flights", "--to", "production", fails=1).err
    assert "not active in QA" in shell("promote", "flights@1", "--to", "uat", by="ada", fails=1).err


def test_a_viewer_may_not_ask(shell: Shell) -> None:
    shell.save()
    assert "needs the role DataEngineer" in shell("promote", "flights", "--to", "qa", by="vic", fails=1).err


def test_l6_nobody_approves_their_own_work(shell: Shell) -> None:
    shell.save(by="lea")
    shell("promote", "flights", "--to", "qa", by="ada")
    shell.run_in(Environment.QA)
    request = shell("promote", "flights", "--to", "uat", "--json", by="ada").json["id"]
    own = shell("approvals", "approve", str(request), "--plan", shell.digest(request), by="lea", fails=1)
    assert "lea contributed to what request" in own.err
    assert "ask admin or leo" in own.err
    not_hers = shell("approvals", "approve", str(request), "--plan", shell.digest(request), by="ada", fails=1)
    assert "must be decided by 1 LeadDataEngineer" in not_hers.err
    assert "is done" in shell.approve(request, by="leo").out


def test_asking_twice_is_asking_once(shell: Shell) -> None:
    request = in_uat_soon(shell)
    again = shell("promote", "flights", "--to", "uat", by="ada")
    assert f"Request {request}: flights v1 to UAT is requested." in again.out
    assert len(shell("approvals", "list", "--json").json) == 1


def test_approving_twice_is_approving_once(shell: Shell) -> None:
    request = in_uat_soon(shell)
    assert "is done" in shell.approve(request).out
    assert "is done" in shell.approve(request).out
    assert len(shell("approvals", "show", str(request), "--json").json["decisions"]) == 1


def test_another_plan_than_the_one_looked_at_is_not_approved(shell: Shell) -> None:
    request = in_uat_soon(shell)
    said = shell("approvals", "approve", str(request), "--plan", "sha256:0", by="lea", fails=1)
    assert "a different plan than the one you reviewed" in said.err
    assert "--plan DIGEST" in shell("approvals", "approve", str(request), "--json", by="lea", fails=2).err


def test_without_a_digest_the_plan_is_shown_before_it_is_asked_about(shell: Shell) -> None:
    request = in_uat_soon(shell)
    shell("approvals", "approve", str(request), by="lea", stdin="n\n", fails=130)
    said = shell("approvals", "approve", str(request), by="lea", stdin="y\n")
    assert said.out.index("QA → UAT") < said.out.index("Approve this plan?") < said.out.index("is done")


def test_what_moved_since_is_told_before_anybody_is_asked(shell: Shell) -> None:
    request = in_uat_soon(shell)
    shell("policy", "set", "uat", "--soak", "1d")
    said = shell("approvals", "approve", str(request), by="lea", stdin="y\n", fails=1)
    assert f"request {request} is stale: policy: 1 → 3; request" in said.err
    assert f"`drls approvals refresh {request}`" in said.err
    assert "Approve this plan?" not in said.out
    shown = shell("approvals", "show", str(request), "--json").json
    assert (shown["state"], shown["decisions"]) == ("requested", [])


def test_what_is_for_me_is_what_i_may_approve(shell: Shell) -> None:
    request = in_uat_soon(shell)
    assert [one["id"] for one in shell("approvals", "list", "--for-me", "--json", by="lea").json] == [request]
    assert shell("approvals", "list", "--for-me", "--json", by="ada").json == []


def test_show_has_the_plan_who_may_approve_and_what_was_said(shell: Shell) -> None:
    request = in_uat_soon(shell)
    shell("approvals", "comment", str(request), "looks good, waiting for finance", by="vic")
    out = shell("approvals", "show", str(request), by="vic").out
    for text in ("new season", "admin, lea, leo", "flights.daily", "vic", "waiting for finance", "1 LeadDataEngineer"):
        assert text in out
    shell("approvals", "comment", str(request), " ", by="vic", fails=2)
    assert "there is no request 99" in shell("approvals", "show", "99", fails=1).err


def test_diff_shows_what_the_data_would_be(shell: Shell) -> None:
    request = in_uat_soon(shell)
    said = shell("approvals", "diff", str(request), "flights.daily", by="vic")
    for text in (
        "This is evidence, not what goes live",
        "before  UAT: ",
        "after   QA: ",
        "+ 1 added",
        "- 0 removed",
        "Added rows:",
    ):
        assert text in said.out
    assert shell("approvals", "diff", str(request), "flights.daily", "--json").json["diff"]["added"] == 1
    assert f"request {request} has no table other.t" in shell("approvals", "diff", str(request), "other.t", fails=1).err


def test_one_rejection_ends_a_request(shell: Shell) -> None:
    request = in_uat_soon(shell)
    shell("approvals", "reject", str(request), by="lea", fails=2)
    shell("approvals", "reject", str(request), "--reason", "no", by="ada", fails=1)
    assert "lea: wrong table" in shell("approvals", "reject", str(request), "--reason", "wrong table", by="lea").out
    again = shell("approvals", "reject", str(request), "--reason", "wrong table", by="leo", fails=1)
    assert "is rejected and can no longer be rejected" in again.err


def test_who_asked_may_withdraw(shell: Shell) -> None:
    request = in_uat_soon(shell)
    shell("approvals", "withdraw", str(request), by="vic", fails=1)
    assert shell("approvals", "withdraw", str(request), "--json", by="ada").json["state"] == "withdrawn"
    assert shell("approvals", "list", "--json").json == []


def test_waiting_ends_when_somebody_approved(shell: Shell, monkeypatch) -> None:
    request = in_uat_soon(shell)
    looked = threading.Event()

    def sleep(_seconds: float) -> None:
        if not looked.is_set():
            looked.set()
            shell.approve_aside(request)

    monkeypatch.setattr(promote.time, "sleep", sleep)
    assert "is done" in shell("promote", "flights", "--to", "uat", "--wait", by="ada").out
    assert looked.is_set()


def test_waiting_no_longer_than_said(shell: Shell) -> None:
    in_uat_soon(shell)
    said = shell("promote", "flights", "--to", "uat", "--wait", "--timeout", "0", by="ada", fails=1)
    assert "is still requested after 0 s" in said.err


def test_an_approved_request_says_what_it_waits_for(shell: Shell) -> None:
    shell("policy", "set", "uat", "--soak", "2d")
    request = in_uat_soon(shell)
    assert "is approved, waiting: the version must soak for 2d in QA" in shell.approve(request).out
    shell.clock.advance(days=2)
    assert "is done" in shell("promote", "flights", "--to", "uat", by="ada").out


def test_who_may_only_approve_still_approves(shell: Shell) -> None:
    shell("team", "add", "risk")
    shell("team", "join", "risk", "vic")
    shell("policy", "set", "uat", "--soak", "2d", "--quorum", "1 of team:risk")
    request = in_uat_soon(shell)
    assert "is approved" in shell.approve(request, by="vic").out
    said = shell("promote", "flights@1", "--to", "uat", by="vic", fails=1)
    assert "DataEngineer" in said.err


def test_a_failed_execution_is_resumed_by_the_same_command(shell: Shell) -> None:
    shell.save()
    shell.to_uat()
    shell.run_in(Environment.UAT)
    request = shell("promote", "flights", "--to", "production", "--json", by="ada").json["id"]
    shell.plane.say("unreachable", True)
    digest = shell.digest(request)
    approved = shell("approvals", "approve", str(request), "--plan", digest, by="lea").out
    assert "approval is recorded" in approved
    assert "will be retried: the catalog does not answer" in approved
    shell.plane.say("unreachable", False)
    assert "is done" in shell("promote", "flights", "--to", "production", by="ada").out


def test_broken_glass_deploys_and_stays_labelled_unreviewed(shell: Shell) -> None:
    shell.save()
    glass = ("promote", "flights@1", "--to", "production", "--break-glass")
    shell(*glass, by="lea", fails=2)
    shell(*glass, "--reason", "fire", by="ada", fails=1)
    shell(*glass, "--reason", "fire", by="lea")
    found = shell("env", "production", "--json").json["active"]
    assert [(one["version"], one["label"]) for one in found] == [(1, "unreviewed")]


def test_without_a_catalog_qa_is_as_far_as_it_goes_and_the_error_says_so(local: Shell) -> None:
    shell = local
    shell.save()
    shell("promote", "flights", "--to", "qa", by="ada", plane=False)
    said = shell("promote", "flights", "--to", "uat", by="ada", plane=False, fails=1)
    assert len(said.err.splitlines()) == 1
    assert "no data plane is connected" in said.err


def test_l6_an_approval_that_lapsed_is_shown_with_the_reason(shell: Shell) -> None:
    """Finding 6; failed on 0.1.0."""
    shell("policy", "set", "uat", "--quorum", "2 LeadDataEngineer")
    request = in_uat_soon(shell)
    shell.approve(request, by="lea")
    shell("user", "disable", "lea")
    shell.approve(request, by="leo")
    shown = shell("approvals", "show", str(request), "--json").json
    assert (shown["state"], shown["may_approve"]) == ("requested", ["admin"])
    assert [(one["person"], one["lapsed"]) for one in shown["decisions"]] == [
        ("lea", "the account is disabled"),
        ("leo", ""),
    ]
    assert "; lapsed: the account is disabled" in shell("approvals", "show", str(request), by="vic").out
    assert shell.active().get("uat") is None


def test_l3_a_failed_run_after_the_evidence_is_shown_and_a_policy_may_demand_better(shell: Shell) -> None:
    """Finding 5, case F14; failed on 0.1.0."""
    request = in_uat_soon(shell)
    shell.fail_in(Environment.QA)
    line = "1 of 1 run in QA after this evidence did not pass"
    assert f"warning     {line}" in shell("promote", "flights", "--to", "uat", "--plan", by="ada").out
    assert f"warning     {line}" in shell("approvals", "show", str(request), by="lea").out
    plan = shell("promote", "flights", "--to", "uat", "--plan", "--json", by="ada").json
    shown = shell("approvals", "show", str(request), "--json", by="lea").json
    assert plan["advice"]["newer_runs"]["failed"] == shown["newer_runs"]["failed"] == 1
    assert plan["plan"] == shown["plan"]
    shell("approvals", "withdraw", str(request), by="ada")
    assert shell("policy", "set", "uat", "--newest-run-passed", "--json").json["body"]["newest_run_passed"] is True
    refused = shell("promote", "flights", "--to", "uat", by="ada", fails=1)
    assert "the newest run in QA, " in refused.err
    assert shell("policy", "set", "uat", "--no-newest-run-passed", "--json").json["body"]["newest_run_passed"] is False
    shell("promote", "flights", "--to", "uat", by="ada")


def test_an_approval_whose_execution_fails_is_no_failure(shell: Shell) -> None:
    """Finding 19; on 0.1.0 the command ended with 1, though the approval was recorded."""
    uat = in_uat_soon(shell)
    shell("approvals", "approve", str(uat), "--plan", shell.digest(uat), by="lea")
    shell.run_in(Environment.UAT)
    request = shell("promote", "flights", "--to", "production", "--json", by="ada").json["id"]
    shell.plane.say("unreachable", True)
    said = shell("approvals", "approve", str(request), "--plan", shell.digest(request), by="lea").out
    assert said.startswith(
        f"Your approval is recorded. Request {request}: flights v1 to production failed and will be retried: "
    )
    assert "the catalog does not answer" in said
    shell.plane.say("unreachable", False)
    shell("promote", "flights@1", "--to", "production", by="ada")
    assert shell.active()["production"] == 1
