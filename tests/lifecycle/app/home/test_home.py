"""Home: what waits for me, and the board."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lifecycle.domain.fence import FenceFacts, FenceKind
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Outcome
from lifecycle.errors import NotFound
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.catalog import Search, catalog
from lifecycle.usecases.delete_pipeline import delete_pipeline
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.parts.rounds import Round
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.start_run import finish_run
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec
from tests.sql_statements import statements_of

Open = Callable[[str | None], Visit]
SCRIPT = "<script>alert(1)</script>"


def grant(life: Life, name: str, scope: str, value: str, role: Role = Role.VIEWER) -> None:
    life.add_person(name, None)
    with life.store.write(SETUP, "setup") as unit:
        unit.people.add_grant(
            person_id=life.person(name), team_id=None, role=role.value, scope=scope, scope_value=value,
            granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", f"person:{name}")


def test_an_empty_home_says_what_to_do(visit: Open) -> None:
    page = visit("ada").page("/")
    assert "Nothing is waiting for you" in page
    assert "Import a definition" in page


def test_a_stopped_sensor_is_said_before_everything_else(visit: Open, life: Life) -> None:
    """Finding 10; on 0.1.0 nothing said so."""
    assert 'role="alert"' not in visit("ada").page("/")
    life.dagster.stopped_parts.append(f"The sensor {SCRIPT} is stopped")
    page = visit("ada").page("/")
    assert page.index("is stopped.") < page.index("Waiting for you")
    assert SCRIPT not in page


def test_home_says_plainly_to_leads_and_admins_where_pipeline_code_has_no_fence(visit: Open, life: Life) -> None:
    none = FenceFacts(kind=FenceKind.NONE, detail=f"this kernel has no Landlock {SCRIPT}")
    life.ctx = replace(life.ctx, fence=lambda: none)
    for name in ("lea", "adam"):
        page = visit(name).page("/")
        assert "Pipeline code has no fence on this machine. This kernel has no Landlock" in page
        assert SCRIPT not in page
    assert "fence" not in visit("ada").page("/")


def test_home_has_a_quiet_line_where_pipeline_code_is_fenced(visit: Open, life: Life) -> None:
    assert "fence" not in visit("lea").page("/")
    life.ctx = replace(life.ctx, fence=lambda: FenceFacts(kind=FenceKind.LANDLOCK, detail="Landlock ABI 7"))
    page = visit("lea").page("/")
    assert page.index("Board") < page.index("Pipeline code is fenced: Landlock ABI 7.")
    assert "fence" not in visit("ada").page("/")


def test_a_request_waits_for_those_who_may_decide_it_and_for_nobody_else(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    life.clock.advance(hours=5)
    lea = visit("lea").page("/")
    assert f'href="/approvals/{asked.id}"' in lea
    assert "requested by ada" in lea
    assert ">5 h ago</time>" in lea
    assert ">in 7 days</time>" in lea
    assert "1 to decide" in lea
    assert "<title>(1) Home" in lea
    ada = visit("ada").page("/")
    assert "Nothing is waiting for you" in ada
    # On the board it is seen by everybody who sees the pipeline.
    assert "request 1: v1 to QA" not in ada
    assert "v1 to UAT waiting for approval" in visit("vic").page("/")


def test_the_parts_answer_with_the_same_elements_again(visit: Open, life: Life) -> None:
    life.save()
    lea = visit("lea")
    home = lea.page("/")
    for address, part in (("/waiting", "waiting"), ("/board", "board")):
        again = lea.page(address)
        assert again.lstrip().startswith(f'<div id="{part}" data-live hx-get="{address}"')
        assert again.strip() in home
    assert 'hx-get="/board?q=fl"' in lea.page("/?q=fl")


def test_l7_an_unreviewed_release_waits_for_a_review_and_is_marked_on_the_board(visit: Open, life: Life) -> None:
    version = life.save()
    break_glass(life.ctx, life.as_("lea"), "flights", version.number, UAT, reason=f"on fire {SCRIPT}")
    page = visit("leo").page("/")
    assert "awaiting independent review" in page
    assert page.count(">unreviewed</span>") == 2
    assert "<script>alert" not in page
    assert "on fire &lt;script&gt;" in page
    # It waits for those who may review it: neither for who released it nor for who may decide nothing.
    for name in ("lea", "ada", "vic"):
        assert "awaiting independent review" not in visit(name).page("/")


def test_l7_a_later_review_says_until_when_it_is_due_and_that_it_is_overdue(visit: Open, life: Life) -> None:
    life.save()
    released = break_glass(life.ctx, life.as_("lea"), "flights", 1, UAT, reason="on fire")
    for past, says in ((False, ("due <time", "It is due <time")), (True, ("was due <time", "It was due <time"))):
        if past:
            life.clock.advance(days=3)
        leo = visit("leo")
        home, review, every = leo.page("/"), leo.page(f"/approvals/{released.id}"), leo.page("/approvals")
        assert says[0] in home
        assert says[1] in review
        for page in (home, review, every):
            assert ("overdue</span>" in page) == past


def test_a_cell_shows_version_digest_last_run_and_how_fresh_the_data_is(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.clock.advance(minutes=7)
    life.begin(version, QA)
    page = Visit(life, "vic", dagster="/dagster").page("/board")
    assert version.digest in page
    assert 'href="/dagster/runs/test-run-2" title="run test-run-2"><span class="state running">' in page
    assert "data <time" in page
    assert ">7 min ago</time>" in page
    assert 'href="/dagster' not in visit("vic").page("/board")


def test_a_run_that_published_only_a_part_says_so(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.plane.commit("flights_raw.flights")
    run = life.begin(version, QA)
    life.publish(life.publishing(run, "flights.daily", QA))
    finish_run(life.ctx, DAGSTER, run, "flights")
    assert "published 1 of 2 tables" in visit("vic").page("/board")


@pytest.mark.parametrize(
    ("outcome", "tables", "words"),
    [
        (Outcome.FAILED, [], '<span class="state rejected"> failed<'),
        (Outcome.FAILED, ["flights.daily"], '<span class="state rejected"> failed, published 1 of 2 tables<'),
        (Outcome.CANCELLED, [], '<span class="state rejected"> cancelled<'),
        (Outcome.SUCCEEDED, ["flights.daily", "flights.late"], '<span class="state approved"> published<'),
        (Outcome.SUCCEEDED, ["flights.late"], '<span class="state approved"> published 1 of 2 tables<'),
        (None, [], '<span class="state rejected"> published nothing<'),
    ],
)
def test_how_the_last_run_ended_is_on_the_board_and_the_pages_of_pipeline_and_environment(
    visit: Open, life: Life, outcome: Outcome | None, tables: list[str], words: str
) -> None:
    version = life.save()
    life.to_qa(version)
    run = life.begin(version, QA)
    for number, table in enumerate(("flights.daily", "flights.late")):
        if table in tables:
            life.publish(life.publishing(run, table, QA, number))
    finish_run(life.ctx, DAGSTER, run, "flights")
    if outcome is not None:
        life.dagster.outcomes[run] = outcome
    reconcile(life.ctx, DAGSTER)
    vic = visit("vic")
    for path in ("/board", "/pipelines/flights"):
        assert words in re.sub(r"<svg.*?</svg>", " ", vic.page(path), flags=re.S).replace("  ", " "), path
    assert (outcome.value if outcome else "finished") in vic.page("/environments/qa")


def test_l9_l15_freezes_stops_and_drift_are_on_the_board(visit: Open, life: Life) -> None:
    version = life.save()
    assert life.to_production(version).state is State.DONE
    life.plane.commit("flights.daily")
    reconcile(life.ctx, DAGSTER)
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason=f"audit {SCRIPT}")
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, QA, "flights", reason="broken input")
    page = visit("vic").page("/board")
    head, _, rows = page.partition("board-name")
    assert "frozen" in head
    assert "audit &lt;script&gt;" in head
    assert "stopped" in rows
    assert "broken input" in rows
    assert "1 of its tables changed outside DRLS" in rows


@pytest.mark.parametrize(("scope", "value"), [("pipeline", "flights"), ("tag", "domain=air")])
def test_a_list_shows_only_what_a_grant_reaches(visit: Open, life: Life, scope: str, value: str) -> None:
    life.save(make_spec(tags={"domain": "air"}))
    life.save(make_spec("sales", tags={"domain": "shop"}))
    grant(life, "pia", scope, value)
    pia = visit("pia")
    for address in ("/", "/board", "/pipelines"):
        page = pia.page(address)
        assert "flights" in page
        assert "sales" not in page
    assert pia.get("/pipelines/sales").status_code == 403
    assert pia.get("/pipelines/sales/versions/1").status_code == 403
    assert pia.get("/pipelines/sales/compare/1/1").status_code == 403


def test_a_tag_counts_only_where_what_is_released_has_it_too(visit: Open, life: Life) -> None:
    """A new version cannot widen who sees the pipeline: the same rule as access.target_of."""
    version = life.save(make_spec(tags={"domain": "shop"}))
    life.to_uat(version)
    life.save(make_spec(rows=2, tags={"domain": "air"}))
    grant(life, "pia", "tag", "domain=air")
    assert "flights" not in visit("pia").page("/board")
    assert visit("pia").get("/pipelines/flights").status_code == 403


def test_the_board_is_paged_and_searched(visit: Open, life: Life) -> None:
    for number in range(53):
        life.save(make_spec(f"p{number:03}", owners=["team:air"] if number == 7 else []))
    delete_pipeline(life.ctx, life.as_("lea"), "p000")
    vic = visit("vic")
    first = vic.page("/board")
    assert "1–50 of 52 pipelines" in first
    assert "p000" not in first
    assert 'rel="next" href="/?page=2#board"' in first
    second = vic.page("/board?page=2")
    assert "51–52 of 52" in second
    assert "p052" in second
    assert "p051" in vic.page("/board?page=99")
    found = vic.page("/?q=team:air")
    assert "p007" in found
    assert "p008" not in found
    assert vic.get("/board?page=0").status_code == 422


def test_a_search_is_shown_as_text(visit: Open, life: Life) -> None:
    life.save()
    page = visit("vic").page(f'/?q="><img src=x>{SCRIPT}')
    assert "No pipeline has" in page
    assert "<img" not in page
    assert "<script>alert" not in page
    assert visit("vic").get("/?q=%00").status_code == 422


def test_the_board_asks_as_much_for_many_pipelines_as_for_one(visit: Open, life: Life, monkeypatch: Any) -> None:
    def statements() -> int:
        with statements_of(life.store.engine) as asked:
            visitor.page("/board")
        return len(asked)

    visitor = visit("vic")
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy())
    life.save(make_spec("one"))
    few = statements()
    for number in range(10):
        life.to_qa(life.save(make_spec(f"p{number}")), f"p{number}")
    assert statements() == few


def test_a_catalogue_is_searched_by_owner_tag_and_environment(life: Life) -> None:
    air = life.save(make_spec("air", owners=["ada@example.org"], tags={"domain": "air", "pii": "no"}))
    life.save(make_spec("shop", owners=["team:shop"], tags={"domain": "shop"}, description="Orders per Day"))
    life.to_qa(air, "air")

    def found(**asked: Any) -> list[str]:
        with life.store.read() as view:
            return [head.name for head in catalog(view, life.as_("vic"), Search(**asked))]

    assert found() == ["air", "shop"]
    assert found(environment=QA) == ["air"]
    assert found(owner="team:shop") == ["shop"]
    assert found(tag="domain=air") == ["air"]
    assert found(tag="pii") == ["air"]
    assert found(tag="pii=yes") == []
    assert found(text="orders PER") == ["shop"]
    assert found(text="domain=sh") == ["shop"]


def test_what_could_not_be_handled_is_shown_to_those_who_see_its_pipeline(visit: Open, life: Life) -> None:
    """Finding 16; on 0.1.0 it was nowhere but in the tick of a sensor."""
    life.save()
    life.save(make_spec("trips"))
    grant(life, "tom", "pipeline", "trips")
    work = Round(life.ctx, SETUP, "requests")
    with work.item("promotion:7", "pinning its candidates", "flights"):
        raise NotFound(f"flights.daily has no snapshot {SCRIPT}")
    work.close()
    said = "promotion 7: pinning its candidates failed: flights.daily has no snapshot &lt;script&gt;"
    assert said in visit("ada").page("/")
    assert "pinning its candidates" not in visit("tom").page("/")
    Round(life.ctx, SETUP, "requests").close()
    assert said not in visit("ada").page("/")
