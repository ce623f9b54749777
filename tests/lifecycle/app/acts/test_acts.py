"""Demote, retire, roll back, freeze, stop, break the glass, drift: consequences first, then the reason, then the act."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import plan_rollback
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.start_run import start_run
from tests.lifecycle.app.environments.test_environments import ESCAPED, XSS, grant
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec

Open = Callable[[str | None], Visit]
V1 = "/pipelines/flights/versions/1"
ACTS = {
    "demote": (f"{V1}/demote", {}),
    "retire": (f"{V1}/retire", {}),
    "break-glass": (f"{V1}/break-glass", {"target": "production"}),
    "rollback": ("/pipelines/flights/rollback", {}),
    "freeze": ("/environments/production/freeze", {}),
    "stop": ("/environments/production/stop", {}),
}


def reader(life: Life, name: str = "report") -> None:
    """A pipeline that is active in production and reads what flights writes."""
    nodes = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": "flights.daily"}},
        {"id": "out", "type": "sink", "table": f"{name}.out", "mode": "overwrite"},
    ]
    version = life.save(make_spec(name, nodes=nodes, edges=[{"from": "raw", "to": "out"}]))
    break_glass(life.ctx, life.as_("lea"), name, version.number, PRODUCTION, reason="setup")


def drift(life: Life) -> int:
    """Somebody writes past DRLS; the drift's number."""
    life.plane.commit("flights.daily")
    return reconcile(life.ctx, DAGSTER).drifts[0].id


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("act", ACTS)
def test_who_may_not_sees_why_and_who_can(visit: Open, life: Life, act: str) -> None:
    life.to_production(life.save())
    path, fields = ACTS[act]
    if act == "rollback":
        life.to_production(life.save(make_spec(rows=2), on=1))
    page = visit("vic").page(path)
    text = plain(page)
    assert "needs the role LeadDataEngineer" in text
    assert "vic has Viewer" in text
    assert "People with this role: adam, lea, leo." in text
    assert 'type="button" disabled aria-describedby="act-1-checks"' in page
    assert "<textarea" not in page
    for name in ("vic", "ada"):
        assert visit(name).post(path, reason="because", **fields).status_code == 403
    grant(life, "ada", "pipeline", "report", Role.LEAD)
    said = visit("ada").said(path, reason="because", **fields)
    assert "needs the role LeadDataEngineer" in said, "a Lead of another pipeline is told by the verb"


@pytest.mark.parametrize("act", ACTS)
def test_nothing_happens_without_a_reason(visit: Open, life: Life, act: str) -> None:
    first = life.save()
    life.to_production(first)
    if act == "rollback":
        life.to_production(life.save(make_spec(rows=2), on=1))
    path, fields = ACTS[act]
    lead = visit("lea")
    for reason in ("", "   \n"):
        assert "needs a reason" in lead.said(path, reason=reason, **fields)
    assert lead.post(path, reason="x" * 2_001, **fields).status_code == 422
    assert lead.post(path, reason="a\x00b", **fields).status_code == 422


def test_demote_shows_what_closes_and_what_comes_back_then_does_so(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    request = life.ask(version, PRODUCTION)
    run_id = life.begin(version, UAT)
    lead = visit("lea")
    text = plain(lead.page(f"{V1}/demote"))
    assert "v1 will no longer be active in UAT" in text
    assert "v1 stays active in QA" in text
    assert f"Request {request.id} : flights v1 to production, requested, requested by ada" in text
    assert run_id in text
    assert "The code locations of UAT and QA reload" in text
    answer = lead.post(f"{V1}/demote", reason="wrong rows")
    assert (answer.status_code, answer.headers["location"]) == (303, "/pipelines/flights")
    assert life.active_number(UAT) is None
    assert life.promotion(request.id).state is State.WITHDRAWN
    again = lead.post(f"{V1}/demote", reason="wrong rows")
    assert again.status_code == 303, "two clicks are one change"
    assert "there is nothing to demote" in plain(lead.page(f"{V1}/demote"))
    assert "there is nothing to demote" in lead.said(f"{V1}/demote", reason="wrong rows", key="another")


def test_demote_says_when_qa_is_kept_by_another_version(visit: Open, life: Life) -> None:
    first = life.save()
    life.to_uat(first)
    life.to_qa(life.save(make_spec(rows=2), on=1))
    lead = visit("lea")
    assert "v2 stays active in QA." in plain(lead.page(f"{V1}/demote"))
    lead.post(f"{V1}/demote", reason="wrong")
    assert life.active_number(QA) == 2


def test_retire_lists_who_reads_its_tables_and_asks_for_consent(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    reader(life)
    lead = visit("lea")
    page = lead.page(f"{V1}/retire")
    assert "report reads its tables in production." in plain(page)
    assert 'name="consent" value="yes" required' in page
    assert "flights.daily and flights.late: unchanged, and no longer updated." in plain(page)
    assert "retire them first, or consent" in lead.said(f"{V1}/retire", reason="unused")
    assert life.active_number(PRODUCTION) == 1
    assert lead.post(f"{V1}/retire", reason="unused", consent="yes", key="two").status_code == 303
    assert life.active_number(PRODUCTION) is None


def test_l13_rollback_of_code_and_data_is_bound_to_what_was_seen(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    second = life.save(make_spec(rows=2), on=1)
    life.to_production(second)
    life.run(second, PRODUCTION)
    reader(life)
    lead = visit("lea")
    code = plain(lead.page("/pipelines/flights/rollback"))
    assert "Tables do not change" in code
    assert "v2 will no longer be active in production" in code
    page = lead.page("/pipelines/flights/rollback?data=true")
    text = plain(page)
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True)
    assert f"Publishes to be undone: {len(plan.undone)}" in text
    for one in plan.undone:
        assert str(one.snapshot) in text
    assert "report reads these tables in production" in text
    assert f'name="consent" value="{plan.plan.digest}" required' in page
    # Another run publishes between the look and the click: the consent was to something else.
    life.run(second, PRODUCTION)
    said = lead.said("/pipelines/flights/rollback", reason="wrong", data="yes", consent=plan.plan.digest)
    assert "review the plan and consent" in said
    assert life.active_number(PRODUCTION) == 2
    fresh = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True).plan.digest
    answer = lead.post("/pipelines/flights/rollback", reason="wrong", data="yes", consent=fresh, key="fresh")
    assert answer.headers["location"].startswith("/approvals/")
    assert life.active_number(PRODUCTION) == 1


def test_l7_rollback_to_an_unreviewed_release_says_so(visit: Open, life: Life) -> None:
    first = life.save()
    break_glass(life.ctx, life.as_("lea"), "flights", first.number, PRODUCTION, reason="fire")
    life.to_production(life.save(make_spec(rows=2), on=1), by="leo")
    page = visit("lea").page("/pipelines/flights/rollback")
    assert "</svg>unreviewed</span>" in page


def test_rollback_without_an_earlier_release_is_explained(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    lead = visit("lea")
    page = lead.page("/pipelines/flights/rollback")
    assert "flights has no earlier release in production to go back to" in page
    assert "disabled" in page
    assert "no earlier release" in lead.said("/pipelines/flights/rollback", reason="wrong")


def test_l7_breaking_the_glass_says_what_it_means_and_leaves_an_unreviewed_release(visit: Open, life: Life) -> None:
    life.save()
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="quarter end")
    lead = visit("lea")
    page = lead.page(f"{V1}/break-glass")
    text = plain(page)
    assert "The review is due by 2026-03-04 09:00 UTC" in text
    assert "stays marked unreviewed everywhere" in text
    assert "Freezes, freeze windows and soak time do not block it" in text
    assert 'name="target" value="production"' in page
    assert 'name="target" value="uat"' in lead.page(f"{V1}/break-glass?target=uat")
    assert 'name="target" value="production"' in lead.page(f"{V1}/break-glass?target=qa")
    assert lead.post(f"{V1}/break-glass", reason="fire", target="production").status_code == 303
    active = life.active(PRODUCTION)
    assert active is not None
    assert active.label is Label.UNREVIEWED
    assert lead.post(f"{V1}/break-glass", reason="fire", target="qa", key="qa").status_code == 422


def test_breaking_the_glass_follows_the_policy(visit: Open, life: Life) -> None:
    life.save()
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy(break_glass=Role.ADMIN))
    text = plain(visit("lea").page(f"{V1}/break-glass"))
    assert "needs the role Admin" in text
    assert "People with this role: adam." in text
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy(break_glass=None))
    assert "production's policy does not allow breaking the glass" in plain(visit("adam").page(f"{V1}/break-glass"))


def test_l9_a_freeze_shows_what_waits_and_holds_until_it_is_lifted(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    request = life.ask(version, PRODUCTION)
    lead = visit("lea")
    text = plain(lead.page("/environments/production/freeze"))
    assert f"Request {request.id} : flights v1 to production" in text
    assert "Runs and schedules continue" in text
    assert lead.post("/environments/production/freeze", reason="quarter end").status_code == 303
    assert life.approve(request).state is State.APPROVED
    held = plain(lead.page("/holds/1/lift"))
    assert "quarter end" in held
    assert f"Request {request.id}" in held
    assert "production is frozen (quarter end)" in plain(lead.page(f"{V1}/retire"))
    assert "A freeze already covers it: quarter end" in plain(lead.page("/environments/production/freeze"))
    assert lead.post("/holds/1/lift").status_code == 303
    assert "It was lifted by lea" in plain(visit("vic").page("/holds/1/lift"))


def test_l9_a_stop_of_one_pipeline_revokes_its_runs_and_says_which(visit: Open, life: Life) -> None:
    version = life.save()
    run_id = life.begin(version, Environment.DEVELOPMENT)
    other = life.save(make_spec("other"))
    other_run = life.begin(other, Environment.DEVELOPMENT, name="other")
    lead = visit("lea")
    everything = lead.page("/environments/development/stop")
    assert run_id in everything
    assert other_run in everything
    one = lead.page("/environments/development/stop?pipeline=flights")
    assert run_id in one
    assert other_run not in one
    assert 'name="pipeline" value="flights"' in one
    assert lead.post("/environments/development/stop", reason="bad input", pipeline="flights").status_code == 303
    with life.store.read() as view:
        assert [admission.run_id for admission in view.runs.live_admissions()] == [other_run]
    assert lead.get("/environments/development/stop?pipeline=nope").status_code == 404


def test_a_freeze_of_all_needs_a_role_on_all(visit: Open, life: Life) -> None:
    life.save()
    life.add_person("part", None)
    grant(life, "part", "pipeline", "flights", Role.LEAD)
    part = visit("part")
    assert "this installation" in plain(part.page("/environments/uat/freeze"))
    assert "this installation" in part.said("/environments/uat/freeze", reason="x")
    assert part.post("/environments/uat/freeze", reason="x", pipeline="flights", key="one").status_code == 303


def test_l15_drift_says_what_was_expected_and_found_and_can_be_reverted(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    good = life.plane.head("flights.daily", "main")
    number = drift(life)
    foreign = life.plane.head("flights.daily", "main")
    lead = visit("lea")
    text = plain(lead.page(f"/drifts/{number}"))
    assert f"snapshot {good} " in text
    assert f"append, snapshot {foreign}" in text
    assert "nothing has been written to flights.daily since" in text
    assert visit("ada").post(f"/drifts/{number}/revert", reason="x").status_code == 403
    assert "needs the role LeadDataEngineer" in plain(visit("ada").page(f"/drifts/{number}"))
    assert lead.post(f"/drifts/{number}/revert", reason=f"a test {XSS}").status_code == 303
    assert life.plane.head("flights.daily", "main") == good
    settled = visit("vic").page(f"/drifts/{number}")
    assert "It was reverted by lea" in settled
    assert ESCAPED in settled
    assert "<textarea" not in settled
    assert "already been settled" in lead.said(f"/drifts/{number}/adopt", reason="late")


def test_l15_drift_says_that_a_ref_was_moved_back_or_is_gone(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_production(version)
    before = life.plane.head("flights.daily", "main")
    life.run(version, PRODUCTION)
    for head, says in ((before, "someone moved the ref back"), (None, "none: the ref is gone")):
        life.plane.set_ref("flights.daily", "main", head)
        (drift,) = reconcile(life.ctx, DAGSTER).drifts
        page = visit("lea").page(f"/drifts/{drift.id}")
        assert says in page
        assert ("restore it, or adopt the drift" in page) == (head is None)


def test_l15_drift_that_was_written_over_cannot_be_reverted_and_says_why(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    number = drift(life)
    life.plane.commit("flights.daily")
    lead = visit("lea")
    page = lead.page(f"/drifts/{number}")
    assert "flights.daily has been written again since; reconcile, then review it again" in page
    assert page.count("disabled aria-describedby") == 1, "adopting stays possible"
    assert "has been written again since" in lead.said(f"/drifts/{number}/revert", reason="x")
    assert lead.post(f"/drifts/{number}/adopt", reason="a repair by hand").status_code == 303
    assert visit("ada").get("/drifts/99").status_code == 404


def test_d9_a_new_session_says_what_is_no_evidence_any_more(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    request = life.ask(version, PRODUCTION)
    engineer = visit("ada")
    text = plain(engineer.page("/environments/uat/session/flights"))
    assert "with 2 publishes" in text
    assert f"Request {request.id}" in text
    assert "needs the role DataEngineer" in plain(visit("vic").page("/environments/uat/session/flights"))
    assert visit("vic").post("/environments/uat/session/flights").status_code == 403
    assert engineer.post("/environments/uat/session/flights").status_code == 303
    assert "The next run already starts a new session" in plain(engineer.page("/environments/uat/session/flights"))
    assert "has no evidence session in production" in plain(engineer.page("/environments/production/session/flights"))
    assert "fresh branches at the next run" in engineer.page("/environments/uat")


def test_every_text_that_people_gave_is_escaped(visit: Open, life: Life) -> None:
    version = life.save(make_spec(tables=("flights.daily", "flights.late")))
    life.to_production(version)
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason=XSS)
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, UAT, None, reason=XSS)
    life.begin(version, PRODUCTION)
    lead = visit("lea")
    for path in (
        f"{V1}/retire",
        f"{V1}/demote",
        "/pipelines/flights/rollback",
        "/holds/1/lift",
        "/environments/uat/freeze",
    ):
        page = lead.page(path)
        assert XSS not in page, path
        assert ESCAPED in page, path
    assert XSS not in lead.said(f"{V1}/retire", reason="x")
    assert lead.get("/environments/uat/freeze", params={"pipeline": XSS}).status_code == 404
    assert XSS not in lead.get("/environments/uat/freeze", params={"pipeline": XSS}).text


def test_names_that_come_from_outside_are_escaped(life: Life) -> None:
    """A run's id is Dagster's, a table's name the catalog's, a partition's key the data's."""
    life.to_production(life.save())
    second = life.save(make_spec(rows=2), on=1)
    life.to_production(second)
    admit_run(life.ctx, DAGSTER, f"run{XSS}", name="flights", digest=second.digest, environment=PRODUCTION)
    start_run(life.ctx, DAGSTER, f"run{XSS}", "flights")
    asked = life.publishing(f"run{XSS}", "flights.daily", PRODUCTION)
    life.publish(asked.model_copy(update={"partition": XSS}))
    with life.store.write(DAGSTER, "drift") as unit:
        drift = unit.runs.add_drift(
            environment="production", pipeline_id=second.pipeline_id, table_name=f"t{XSS}", ref=XSS, expected=None,
            found=7,
        )  # fmt: skip
        unit.audit("drift.found", "pipeline:flights")
    visitor = Visit(life, "lea", dagster="/dagster")
    for path in (
        "/pipelines/flights/rollback?data=true", "/pipelines/flights/versions/2/retire", "/environments/production",
        "/environments", "/environments/production/stop", f"/drifts/{drift.id}",
    ):  # fmt: skip
        page = visitor.page(path)
        assert XSS not in page, path
        assert ESCAPED in page or "&lt;scr" in page, path


def test_what_one_may_not_see_is_not_shown(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    number = drift(life)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, PRODUCTION, "flights", reason="private words")
    life.save(make_spec("open"))
    life.add_person("one", None)
    grant(life, "one", "pipeline", "open", Role.LEAD)
    one = visit("one")
    for path in (
        f"{V1}/demote", f"{V1}/retire", f"{V1}/break-glass", "/pipelines/flights/rollback", f"/drifts/{number}",
        f"/holds/{hold.id}/lift",
    ):  # fmt: skip
        answer = one.get(path)
        assert answer.status_code == 403, path
        assert "private words" not in answer.text


def test_dagster_is_linked_where_it_is(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    run_id = life.begin(version, UAT)
    visitor = Visit(life, "lea", dagster="/dagster")
    assert f'href="/dagster/runs/{run_id}"' in visitor.page(f"{V1}/demote")
    assert f'href="/dagster/runs/{run_id}"' in visitor.page("/environments/uat")
