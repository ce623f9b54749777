"""What runs where: side by side, one by one, and as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from lifecycle.app.environments.view import PAGE
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.roles import Role
from lifecycle.domain.windows import Window
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import rollback_release
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec
from tests.sql_statements import statements_of

Open = Callable[[str | None], Visit]
XSS = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


def grant(life: Life, name: str, scope: str, value: str, role: Role = Role.VIEWER) -> None:
    with life.store.write(SETUP, "setup") as unit:
        unit.people.add_grant(
            person_id=life.person(name), team_id=None, role=role.value, scope=scope, scope_value=value,
            granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("granted", f"person:{name}")


def test_an_empty_environment_says_what_to_do_next(visit: Open) -> None:
    visitor = visit("vic")
    assert "import a pipeline" in visitor.page("/environments")
    assert "Promote a version from" in visitor.page("/environments/production")
    assert visitor.get("/environments/moon").status_code == 404


def test_production_shows_version_approver_tables_and_where_they_came_from(visit: Open, life: Life) -> None:
    version = life.save()
    request = life.to_production(version)
    page = visit("vic").page("/environments/production")
    assert version.digest in page
    assert "lea" in page
    assert f"/approvals/{request.id}" in page
    assert "flights.daily" in page
    assert f'brought by <a href="/approvals/{request.id}">' in page
    assert "flights_raw.flights at" in page
    assert "Demote" not in page, "a viewer is offered nothing that they may not do"


def test_leads_find_the_verbs_and_engineers_their_session(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    lead, engineer = visit("lea"), visit("ada")
    for path in (
        "/pipelines/flights/rollback",
        "/pipelines/flights/versions/1/retire",
        "/environments/production/freeze?pipeline=flights",
    ):
        assert f'href="{path}"' in lead.page("/environments/production")
        assert f'href="{path}"' not in engineer.page("/environments/production")
    assert 'href="/environments/uat/session/flights"' in engineer.page("/environments/uat")
    assert 'href="/pipelines/flights/versions/1/demote"' in lead.page("/environments/uat")


def test_l7_an_unreviewed_release_is_marked(visit: Open, life: Life) -> None:
    version = life.save()
    break_glass(life.ctx, life.as_("lea"), "flights", version.number, PRODUCTION, reason="the site is down")
    visitor = visit("vic")
    for path in ("/environments", "/environments/production"):
        page = visitor.page(path)
        assert "</svg>unreviewed</span>" in page, path
    assert "nobody" in visitor.page("/environments/production")


def test_a_past_time_shows_what_was_active_then(visit: Open, life: Life) -> None:
    first = life.save()
    life.to_production(first)
    then = life.clock.now()
    life.clock.advance(days=1)
    second = life.save(make_spec(rows=2), on=1)
    life.to_production(second)
    visitor = visit("vic")
    now = visitor.page("/environments/production")
    assert second.digest in now
    assert first.digest not in now
    for text in (f"{then:%Y-%m-%dT%H:%M:%S.%f}", f"{then.isoformat()}"):
        answer = visitor.get("/environments/production", params={"at": text})
        assert answer.status_code == 200
        assert first.digest in answer.text
        assert second.digest not in answer.text
        assert "Showing the state at" in answer.text
    before = visitor.get("/environments/production", params={"at": "2020-01-01"})
    assert "Nothing was active here then." in before.text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("yesterday", "&#39;yesterday&#39; is not a time; write it like 2026-03-31T18:00 (UTC)"),
        ("2026-02-30T00:00", "is not a time"),
        ("0001-01-01T00:00+14:00", "is not a time"),
        (XSS, "is not a time"),
        ("2031-01-01", "2031-01-01 00:00 UTC is in the future"),
    ],
)
def test_a_time_that_is_none_gets_one_clear_line(visit: Open, text: str, line: str) -> None:
    answer = visit("vic").get("/environments/production", params={"at": text})
    assert answer.status_code == 422
    assert line in answer.text
    assert XSS not in answer.text
    assert "Active versions" not in answer.text


def test_holds_drift_and_windows_are_shown_and_escaped(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    life.plane.commit("flights.daily")
    reconcile(life.ctx, DAGSTER)
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason=f"quarter end {XSS}")
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, PRODUCTION, "flights", reason="bad input")
    weekend = Window(name=f"weekend {XSS}", start=datetime(2026, 1, 2, 18, 0), duration=timedelta(hours=60), rule="FREQ=WEEKLY;BYDAY=FR")  # fmt: skip
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy(windows=(weekend,)))
    visitor = visit("vic")
    for path in ("/environments", "/environments/production"):
        page = visitor.page(path)
        assert XSS not in page
        assert f"quarter end {ESCAPED}" in page
        assert "bad input" in page
        assert 'href="/drifts/1"' in page
        assert f"weekend {ESCAPED}" in page
        assert "Freezes 2026-03-06 18:00 UTC, until 2026-03-09 06:00 UTC" in page
    page = visitor.page("/environments/production")
    assert page.count("</svg>frozen</span>") == 2, "in the summary and at the pipeline"
    life.clock.advance(days=5)
    assert "Frozen now, until 2026-03-09 06:00 UTC" in visit("vic").page("/environments/production")


def test_what_is_lifted_held_then(visit: Open, life: Life) -> None:
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, QA, None, reason="only yesterday")
    then = life.clock.now()
    life.clock.advance(hours=1)
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    visitor = visit("vic")
    assert "only yesterday" not in visitor.page("/environments/qa")
    was = visitor.get("/environments/qa", params={"at": then.isoformat()}).text
    assert "only yesterday" in was
    assert "/lift" not in was, "nothing is done in the past"


def test_lists_show_only_what_the_visitor_may_see(visit: Open, life: Life) -> None:
    life.to_production(life.save())
    life.save(make_spec("secret", tags={"area": "pay"}), by="ada")
    life.save(make_spec("open", tags={"area": "web"}), by="ada")
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, "flights", reason="hidden reason")
    life.add_person("one", None)
    life.add_person("two", None)
    grant(life, "one", "pipeline", "open")
    grant(life, "two", "tag", "area=web")
    for name in ("one", "two"):
        visitor = visit(name)
        page = visitor.page("/environments/development")
        assert "/pipelines/open" in page
        assert "secret" not in page
        assert "flights" not in page
        for path in (
            "/environments",
            "/environments/live",
            "/environments/production",
            "/environments/production/live",
        ):
            assert "hidden reason" not in visitor.page(path)
            assert "flights" not in visitor.page(path)
        assert visitor.get("/environments/production/freeze?pipeline=flights").status_code == 403
        assert visitor.get("/environments/uat/session/flights").status_code == 403


def test_many_pipelines_come_in_pages_and_can_be_searched(visit: Open, life: Life) -> None:
    names = [f"p{number:03}" for number in range(PAGE + 3)]
    for name in names:
        life.save(make_spec(name))
    visitor = visit("vic")
    first = visitor.page("/environments/development")
    assert names[0] in first
    assert f'href="/environments/development?after={names[PAGE - 1]}"' in first
    second = visitor.page(f"/environments/development?after={names[PAGE - 1]}")
    assert names[PAGE] in second
    assert f">{names[0]}<" not in second
    assert "First page" in second
    found = visitor.page("/environments/development?q=p05")
    assert "p051" in found
    assert ">p049<" not in found
    nothing = visitor.get("/environments/development", params={"q": XSS}).text
    assert XSS not in nothing
    assert "No pipeline with" in nothing
    assert "No pipeline" in visitor.get("/environments/development", params={"q": "p_0%"}).text


def test_a_page_asks_for_many_rows_with_the_queries_of_few(visit: Open, life: Life) -> None:
    visitor = visit("vic")
    with statements_of(life.store.engine) as said:
        for number in range(3):
            life.save(make_spec(f"a{number}"))
        life.forget()
        said.clear()
        visitor.page("/environments/development")
        few = len(said)
        for number in range(20):
            life.save(make_spec(f"b{number}"))
        said.clear()
        visitor.page("/environments/development")
        assert len(said) == few


def test_the_release_that_a_rollback_brought_back_says_who_approved_it(visit: Open, life: Life) -> None:
    first = life.save()
    life.to_production(first, by="leo")
    life.to_production(life.save(make_spec(rows=2), on=1), by="lea")
    rollback_release(life.ctx, life.as_("lea"), "flights", reason="wrong rows")
    page = visit("vic").page("/environments/production")
    assert first.digest in page
    assert "leo" in page


def test_the_live_part_is_the_same_element(visit: Open, life: Life) -> None:
    life.save()
    visitor = visit("vic")
    page = visitor.page("/environments/development?q=fli")
    assert 'hx-get="/environments/development/live?q=fli"' in page
    part = visitor.page("/environments/development/live?q=fli")
    assert part.strip().startswith('<div id="environment"')
    assert 'hx-get="/environments/development/live?q=fli"' in part
    assert visitor.page("/environments/live").strip().startswith('<div id="environments"')
    assert life.active_number(UAT) is None
