"""What is refused on a page says what to open there; a command is for the command line."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import UAT, Life

Open = Callable[[str | None], Visit]


def test_what_is_not_there_names_a_page_and_no_command(visit: Open, life: Life) -> None:
    life.save()
    adam = visit("adam")
    for path, where in {
        "/pipelines/gone": "the Pipelines page shows all pipelines",
        "/environments/uat/freeze?pipeline=gone": "the Pipelines page shows all pipelines",
        "/pipelines/flights/versions/9": "the pipeline&#39;s page lists them",
        "/approvals/99": "the Approvals page shows open requests",
        "/settings/people/gone": "Settings, People and teams shows all accounts",
        "/settings/teams/gone": "Settings, People and teams shows all teams",
    }.items():
        for headers in ({}, {"HX-Request": "true"}):
            answer = adam.get(path, headers=headers)
            assert answer.status_code == 404
            assert where in answer.text, (path, answer.text)
            assert "drls " not in answer.text


def test_a_check_names_a_page_and_no_command(visit: Open, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    set_policy(life.ctx, life.as_("adam"), UAT, None, None)
    adam = visit("adam")
    for said in (
        adam.page("/pipelines/flights/versions/1/promote/uat"),
        adam.said("/pipelines/flights/versions/1/promote/uat", if_plan="x"),
    ):
        assert "an Admin can set one in Settings, Policies" in said
        assert "drls policy" not in said
