"""Policies: in words, changed with their meaning in sight, never by a lost race."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.app.settings.policy_form import fields_of, policy_of_fields
from lifecycle.app.settings.policy_view import ahead, meaning
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.domain.windows import Window
from lifecycle.usecases.grants import add_grant, add_team, set_member
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life, make_spec

Open = Callable[[str | None], Visit]
SCRIPT = "<script>alert(1)</script>"
WEEKEND = Window(
    name="weekend", start=datetime(2026, 1, 2, 18), duration=timedelta(hours=60), rule="FREQ=WEEKLY;BYDAY=FR",
    timezone="Europe/Berlin",
)  # fmt: skip
RICH = Policy(
    quorum="1 Admin or 2 LeadDataEngineer", approvals="solo", expires=timedelta(days=3), soak=timedelta(hours=36),
    evidence_max_age=timedelta(days=2), newest_run_passed=True, evidence_parameters={"n": 3, "full": True, "x": "y=z", "r": 0.5},
    fence="required", verify="digests",
    windows=(WEEKEND,), schedules=False, on_promote="run", break_glass=None, reminder=None,
)  # fmt: skip


def form(policy: Policy, revision: int, **changes: str) -> dict[str, Any]:
    """What a browser sends that changed these fields."""
    fields = fields_of(policy)
    rows = {f"window-{n}-{name}": text for n, row in enumerate(fields.windows) for name, text in row.items()}
    return {**fields.values, **rows, "revision": str(revision), "pipeline": "", **changes}


def shown(visit: Visit, path: str, **fields: Any) -> str:
    """The part that a page with scripts shows for its form."""
    data = {FIELD: masked(visit.session), **fields}
    return visit.client.post(path, data=data, headers={"HX-Request": "true"}).text


def present(life: Life, environment: Environment = UAT, pipeline: str | None = None) -> tuple[Policy | None, int]:
    with life.store.read() as view:
        found = view.policies.revision(environment, view.pipelines.named(pipeline).id if pipeline else None)
    return (found.body, found.id) if found else (None, 0)


@pytest.mark.parametrize("policy", [Policy(), RICH, Policy(windows=(WEEKEND, WEEKEND.model_copy(update={"rule": ""})))])
def test_a_policy_goes_through_its_form_unchanged(visit: Open, life: Life, policy: Policy) -> None:
    again, _ = policy_of_fields(fields_of(policy), UAT)
    assert again == policy
    adam = visit("adam")
    set_policy(life.ctx, life.as_("adam"), UAT, None, policy)
    page = adam.page("/settings/policies/uat/edit")
    sent: dict[str, Any] = dict(re.findall(r'<(?:input|textarea)[^>]*? name="([\w-]+)"[^>]*? value="([^"]*)"', page))
    assert sent["quorum"] == policy.quorum
    _, revision = present(life)
    assert adam.post("/settings/policies/uat", **form(policy, revision)).status_code == 303
    assert present(life)[0] == policy


def test_everybody_reads_what_is_needed_and_only_an_admin_sees_the_form(visit: Open, life: Life) -> None:
    ada = visit("ada")
    page = ada.page("/settings/policies")
    assert "Needs 1 LeadDataEngineer or Admin" in page
    assert "View and change" not in page
    one = ada.page("/settings/policies/production")
    assert "adam, lea, leo" in one
    assert "service accounts and agents never approve" in one
    assert "/edit" not in one
    assert ada.get("/settings/policies/production/edit").status_code == 403
    assert ada.get("/settings/policies/development").status_code == 404
    assert ada.get("/settings/policies/moon").status_code == 404


def test_a_pipelines_own_policy_is_shown_to_who_sees_the_pipeline(visit: Open, life: Life) -> None:
    life.save(make_spec("secret"))
    life.save(make_spec("open"))
    for name in ("secret", "open"):
        set_policy(life.ctx, life.as_("adam"), UAT, name, Policy(quorum="2 LeadDataEngineer"))
    life.add_person("half", None)
    add_grant(life.ctx, life.as_("adam"), Role.VIEWER, person="half", scope=ScopeKind.PIPELINE, scope_value="open")
    half = visit("half")
    page = half.page("/settings/policies")
    assert "pipeline=open" in page
    assert "secret" not in page
    assert half.get("/settings/policies/uat?pipeline=secret").status_code == 403
    assert "Needs 2 LeadDataEngineer" in half.page("/settings/policies/uat?pipeline=open")
    assert "pipeline=secret" in visit("vic").page("/settings/policies")


def test_a_policys_pages_lead_back_by_the_names_that_people_use(visit: Open, life: Life) -> None:
    life.save()
    set_policy(life.ctx, life.as_("adam"), UAT, "flights", Policy())
    adam = visit("adam")
    way = (
        '<a href="/settings">Settings</a> / <a href="/settings/policies">Policies</a> / <a href="/settings/policies/uat'
    )
    for page in ("edit", "delete"):
        assert f'{way}">UAT</a></nav>' in adam.page(f"/settings/policies/uat/{page}")
        of_one = adam.page(f"/settings/policies/uat/{page}?pipeline=flights")
        assert f'{way}?pipeline=flights">flights in UAT</a></nav>' in of_one
    for path in ("/pipelines", "/approvals"):
        assert '<option value="uat">UAT</option>' in adam.page(path)


def test_who_could_approve_says_which_roles_are_counted(visit: Open, life: Life) -> None:
    life.save()
    life.add_person("one", None)
    add_grant(life.ctx, life.as_("adam"), Role.LEAD, person="one", scope=ScopeKind.PIPELINE, scope_value="flights")
    adam = visit("adam")
    words = "Based on roles on everything. A role on one pipeline or tag counts only there."
    _, revision = present(life)
    for page in (
        adam.page("/settings/policies/uat"),
        adam.page("/settings/policies/uat/edit"),
        shown(adam, "/settings/policies/uat/preview", **form(Policy(), revision)),
    ):
        assert words in page
        assert "adam, lea, leo <" in page
    for page in (
        adam.page("/settings/policies/uat/edit?pipeline=flights"),
        shown(adam, "/settings/policies/uat/preview", **form(Policy(), 0, pipeline="flights")),
    ):
        assert words not in page
        assert "adam, lea, leo, one" in page


def test_the_preview_says_what_changes_who_could_approve_and_when(visit: Open, life: Life) -> None:
    adam = visit("adam")
    _, revision = present(life)
    path = "/settings/policies/uat/preview"
    fields = form(Policy(windows=(WEEKEND,)), revision, quorum="2 LeadDataEngineer")
    answer = adam.post(path, **fields)
    assert answer.status_code == 200
    page = answer.text
    assert "removed: </span>Needs 1 LeadDataEngineer" in page
    assert "new: </span>Needs 2 LeadDataEngineer" in page
    assert "Frozen Fri 18:00–Mon 06:00 (Europe/Berlin)" in page
    # The world begins on Monday, 2 March 2026; Berlin is an hour ahead.
    assert "2026-03-06 17:00 UTC – 2026-03-09 05:00 UTC" in page
    assert "2026-03-13 17:00 UTC" in page
    assert "2026-03-20" not in page
    assert present(life) == (Policy(), revision)
    nobody = adam.post(path, **form(Policy(), revision, quorum="2 of team:nobody")).text
    assert "Not enough people can approve" in nobody
    solo = adam.post(path, **form(Policy(), revision, approvals="solo")).text
    assert "shown as unreviewed everywhere" in solo


def test_the_preview_names_who_could_not_ask(life: Life) -> None:
    add_team(life.ctx, life.as_("adam"), "risk")
    for name in ("lea", "leo"):
        set_member(life.ctx, life.as_("adam"), "risk", name, member=True)
    with life.store.read() as view:
        found = meaning(view, UAT, None, Policy(quorum="2 of team:risk"), Policy())
    assert found.approvers == ("lea", "leo")
    assert found.reachable
    assert found.alone == ("lea", "leo")


def test_the_preview_counts_the_requests_that_would_be_stale(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    other = life.save(make_spec("other"))
    life.to_qa(other, "other")
    life.run(other, QA, "other")
    apart = set_policy(life.ctx, life.as_("adam"), UAT, "other", Policy())
    its_own = life.ask(other, UAT, name="other")
    adam = visit("adam")
    _, revision = present(life)
    page = adam.post("/settings/policies/uat/preview", **form(Policy(), revision, quorum="1 Admin")).text
    assert f'href="/approvals/{asked.id}"' in page
    assert f'href="/approvals/{its_own.id}"' not in page
    own = form(Policy(), apart.id, quorum="1 Admin", pipeline="other")
    assert f'href="/approvals/{its_own.id}"' in adam.post("/settings/policies/uat/preview", **own).text
    # What is set already touches nothing, neither said nor saved; for one pipeline it would be another revision.
    kept = form(Policy(), revision)
    for page in (adam.post("/settings/policies/uat/preview", **kept).text, adam.page("/settings/policies/uat/edit")):
        assert "not affected" in page
    assert "1 would become stale" in adam.page("/settings/policies/uat/edit?pipeline=flights")
    assert adam.post("/settings/policies/uat", **kept).status_code == 303
    assert "Nothing changed: the policy stays the same." in adam.page("/settings/policies/uat")
    assert present(life) == (Policy(), revision)
    # It is so: once saved, the request is stale when it would execute.
    adam.post("/settings/policies/uat", **form(Policy(), revision, quorum="1 LeadDataEngineer", expires="8d", key="8d"))
    assert life.approve(asked).state is State.STALE
    assert life.approve(its_own).state is State.DONE


@pytest.mark.parametrize(
    ("changes", "slot", "told"),
    [
        ({"quorum": "everybody"}, "quorum", "cannot read"),
        ({"quorum": "1 King"}, "quorum", "not a role"),
        ({"quorum": SCRIPT}, "quorum", "cannot read"),
        ({"expires": "soon"}, "expires", "write a duration"),
        ({"expires": "0s"}, "expires", "longer than zero"),
        ({"reminder": "x"}, "reminder", "write a duration"),
        ({"break_glass": "King"}, "break_glass", "Input should be"),
        ({"approvals": "maybe"}, "approvals", "Input should be"),
        ({"evidence_parameters": "novalue"}, "evidence_parameters", "write name=value"),
        ({"window-1-name": "x"}, "window-1", "is required"),
        ({"window-1-rule": "FREQ=DAILY"}, "window-1", "is required"),
        ({"window-0-name": "x", "window-0-start": "2026-03-01T00:00", "window-0-duration": "1h", "window-0-timezone": "Moon"},
         "window-0", "is not a time zone"),
        ({"window-0-name": "x", "window-0-start": "2026-03-01T00:00", "window-0-duration": "1h", "window-0-rule": "often"},
         "window-0", "cannot read the rule"),
        ({"window-0-name": "x", "window-0-start": "1990-03-01T00:00", "window-0-duration": "1h",
          "window-0-rule": "FREQ=SECONDLY"}, "window-0", "at most daily"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_at_its_field(
    visit: Open, life: Life, changes: dict[str, str], slot: str, told: str
) -> None:
    adam = visit("adam")
    before = present(life)
    fields = form(Policy(), before[1], **changes)
    for path in ("/settings/policies/uat", "/settings/policies/uat/preview"):
        with_scripts = adam.client.post(
            path, data={"csrf": _csrf(adam), "key": "k", **fields}, headers={"HX-Request": "true"}
        ).text
        without = adam.post(path, **fields).text
        for page in (with_scripts, without):
            place = page.partition(f'id="error-{slot}"')[2].partition("</p>")[0]
            assert told in place, (path, place)
            assert SCRIPT not in page
    assert present(life) == before


def _csrf(visit: Visit) -> str:
    from lifecycle.app.kit.csrf import masked

    return masked(visit.session)


def test_without_scripts_what_was_typed_stays(visit: Open, life: Life) -> None:
    adam = visit("adam")
    page = adam.post(
        "/settings/policies/uat", **form(Policy(), present(life)[1], quorum="everybody", expires="9d")
    ).text
    assert 'value="everybody"' in page
    assert 'value="9d"' in page
    assert 'aria-invalid="true"' in page


def test_a_lost_race_says_so_and_two_clicks_are_one_revision(visit: Open, life: Life) -> None:
    adam = visit("adam")
    _, revision = present(life)
    fields = form(Policy(), revision, expires="9d")
    assert adam.post("/settings/policies/uat", **fields).status_code == 303
    after = present(life)
    assert adam.post("/settings/policies/uat", **fields).status_code == 303
    assert present(life) == after
    late = adam.said("/settings/policies/uat", **{**fields, "key": "another", "expires": "2d"})
    assert "has been changed in the meantime" in late
    assert present(life) == after
    late = adam.said("/settings/policies/uat/delete", revision=str(revision))
    assert "has been changed in the meantime" in late


def test_a_pipelines_own_policy_is_set_shown_and_taken_away(visit: Open, life: Life) -> None:
    life.save()
    adam = visit("adam")
    assert "the policy of" in adam.page("/settings/policies/uat?pipeline=flights")
    assert adam.get("/settings/policies/uat/edit?pipeline=nope").status_code == 404
    adam.post("/settings/policies/uat", **form(Policy(), 0, quorum="2 LeadDataEngineer", pipeline="flights"))
    body, revision = present(life, UAT, "flights")
    assert body is not None
    assert body.quorum == "2 LeadDataEngineer"
    page = adam.page("/settings/policies/uat/delete?pipeline=flights")
    assert "new: </span>Needs 1 LeadDataEngineer" in page
    assert adam.post("/settings/policies/uat/delete", pipeline="flights", revision=str(revision)).status_code == 303
    assert present(life, UAT, "flights")[0] is None
    history = adam.page("/settings/policies/uat?pipeline=flights")
    assert "No policy" in history.partition("Revisions")[2]
    assert adam.get("/settings/policies/uat/delete?pipeline=flights").status_code == 404


def test_no_policy_means_no_is_said_before_it_is_taken_away(visit: Open, life: Life) -> None:
    adam = visit("adam")
    assert "Without a policy, nothing can be promoted" in adam.page("/settings/policies/production/delete")
    _, revision = present(life, PRODUCTION)
    adam.post("/settings/policies/production/delete", revision=str(revision))
    assert present(life, PRODUCTION)[0] is None
    assert "nothing can be promoted" in adam.page("/settings/policies")


def test_of_a_qa_policy_only_what_starts_there_counts(visit: Open, life: Life) -> None:
    adam = visit("adam")
    page = adam.page("/settings/policies/qa/edit")
    assert 'name="quorum"' not in page
    assert adam.post("/settings/policies/qa", revision="0", schedules="true", on_promote="run").status_code == 303
    assert present(life, QA)[0] == Policy(schedules=True, on_promote="run")
    shown = adam.page("/settings/policies/qa")
    assert "Schedules run here." in shown
    assert "A promotion starts a run." in shown
    assert "LeadDataEngineer" not in shown.partition("<main")[2]


def test_the_texts_of_a_policy_are_only_text(visit: Open, life: Life) -> None:
    life.save()
    nasty = Policy(
        evidence_parameters={SCRIPT: SCRIPT}, quorum=f"1 of team:{SCRIPT}",
        windows=(WEEKEND.model_copy(update={"name": SCRIPT}),),
    )  # fmt: skip
    for name in (None, "flights"):
        set_policy(life.ctx, life.as_("adam"), UAT, name, nasty)
    adam = visit("adam")
    for path in ("", "/uat", "/uat/edit", "/uat/delete", "/uat?pipeline=flights", "/uat/edit?pipeline=flights"):
        assert SCRIPT not in adam.page(f"/settings/policies{path}"), path
    assert SCRIPT not in adam.post("/settings/policies/uat/preview", **form(nasty, 1)).text
    assert adam.get(f"/settings/policies/uat?pipeline={SCRIPT}").status_code == 404
    assert SCRIPT not in adam.get(f"/settings/policies/uat?pipeline={SCRIPT}").text


def test_windows_ahead_are_those_of_two_weeks() -> None:
    now = datetime.fromisoformat("2026-03-07T00:00:00+00:00")
    found = ahead((WEEKEND,), now)
    assert [one.start.isoformat() for one in found] == [
        "2026-03-07T00:00:00+00:00", "2026-03-13T17:00:00+00:00", "2026-03-20T17:00:00+00:00",
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["FREQ=SECONDLY", "freq=minutely;COUNT=3", "RRULE:FREQ=HOURLY"])
def test_a_window_that_would_take_minutes_to_count_is_refused(rule: str) -> None:
    with pytest.raises(ValidationError, match="at most daily"):
        Window(name="x", start=datetime(2000, 1, 1), duration=timedelta(seconds=1), rule=rule)
