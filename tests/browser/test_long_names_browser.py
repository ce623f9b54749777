"""The longest names and texts that are let in, without a place to break: no page scrolls sideways on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from lifecycle.domain.people import ScopeKind
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.roles import Role
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.grants import add_grant, add_team, set_member
from lifecycle.usecases.holding import set_hold
from tests.browser.conftest import Server, fits
from tests.lifecycle.life import PRODUCTION, QA, UAT, make_spec

pytestmark = pytest.mark.browser
NAME, PERSON, TEAM = "n" * 63, "P" * 64, "t" * 63
WORD = "w" * 2_000
PAGES = (
    "/", "/pipelines", f"/pipelines/{NAME}", f"/pipelines/{NAME}/versions/1", f"/pipelines/{NAME}/delete",
    f"/pipelines/{NAME}/compare/1/2", f"/pipelines/{NAME}/rollback", f"/pipelines/{NAME}/versions/1/clone",
    f"/pipelines/{NAME}/versions/2/promote/uat", f"/pipelines/{NAME}/versions/2/promote/production",
    f"/pipelines/{NAME}/versions/1/demote", f"/pipelines/{NAME}/versions/1/retire",
    f"/pipelines/{NAME}/versions/2/break-glass", "/approvals", "/approvals/2", "/approvals/5",
    "/environments", "/environments/uat", "/environments/production", f"/environments/uat/freeze?pipeline={NAME}",
    f"/environments/uat/stop?pipeline={NAME}", f"/environments/uat/session/{NAME}", "/holds/1/lift",
    "/settings/people", f"/settings/people/{PERSON}", f"/settings/people/{PERSON}/disable", f"/settings/teams/{TEAM}",
    f"/settings/policies/uat/edit?pipeline={NAME}", f"/settings/policies/uat?pipeline={NAME}", "/audit",
    f"/audit?subject=pipeline:{NAME}",
)  # fmt: skip


def test_nothing_is_so_long_that_a_page_scrolls_sideways(server: Server, browse: Callable[..., Page]) -> None:
    life = server.life
    adam = life.as_("adam")
    life.add_person(PERSON, Role.ADMIN, display_name="D" * 100, email="e" * 60 + "@" + "x" * 60 + ".org")
    add_team(life.ctx, adam, TEAM)
    set_member(life.ctx, adam, TEAM, PERSON, member=True)
    add_grant(life.ctx, adam, Role.LEAD, scope=ScopeKind.PIPELINE, scope_value=NAME, team=TEAM)
    spec = make_spec(NAME, description="d" * 500)
    first = life.save(spec, message=WORD, by=PERSON)
    life.to_qa(first, NAME, PERSON)
    life.run(first, QA, NAME)
    life.approve(life.ask(first, UAT, PERSON, NAME))
    life.run(first, UAT, NAME)
    life.approve(life.ask(first, PRODUCTION, PERSON, NAME), reason=WORD)
    life.run(first, PRODUCTION, NAME)
    life.plane.commit(f"{NAME}.daily")
    second = life.save(make_spec(NAME, rows=2), by=PERSON)
    life.to_qa(second, NAME, PERSON)
    life.run(second, QA, NAME)
    asked = life.ask(second, UAT, PERSON, NAME)
    assert asked.id == 5
    comment_promotion(life.ctx, adam, asked.id, WORD)
    set_hold(life.ctx, adam, HoldKind.FREEZE, UAT, NAME, reason=WORD)
    page = browse("adam", phone=True)
    for path in PAGES:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        fits(page)
    long = browse(PERSON, phone=True)
    for path in ("/", "/profile"):
        long.goto(path)
        fits(long)
