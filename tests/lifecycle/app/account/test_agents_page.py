"""The agents that act for somebody, on their own page and on the Admins' (A8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from secrets import token_hex

import pytest

from lifecycle.app.kit.request import COOKIE
from lifecycle.domain.people import WayIn
from lifecycle.errors import Unauthorized
from lifecycle.usecases.agents import list_agents
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.save_version import save_version
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import Life, make_spec

Open = Callable[[str | None], Visit]
SECRET = re.compile(r"drls_personal_[\w-]+")


def issued(visitor: Visit, agent: str = "claude", **form: str) -> str:
    answer = visitor.post("/profile/agents", agent=agent, days="5", key=token_hex(4), **form)
    assert answer.headers["cache-control"] == "no-store"
    (secret,) = set(SECRET.findall(answer.text))
    return secret


def test_a8_a_person_issues_and_ends_what_acts_for_them(visit: Open, life: Life) -> None:
    ada = visit("ada")
    assert "No agents." in ada.page("/profile")
    first, second = issued(ada), issued(ada, "cursor", writes="true", unattended="true")
    assert authenticate(life.ctx, first, WayIn.MCP).scopes == {"read"}
    assert authenticate(life.ctx, second, WayIn.MCP).scopes == {"read", "write"}
    page = ada.page("/profile")
    assert "claude.ada" in page
    assert "unattended</span>" in page
    assert first not in page
    assert "claude.ada" not in visit("eve").page("/profile")
    ada.post("/profile/agents/claude/end")
    with pytest.raises(Unauthorized):
        authenticate(life.ctx, first, WayIn.MCP)
    assert "claude.ada, ended" in ada.page("/profile")
    issued(ada)
    ada.post("/profile/agents/end")
    with pytest.raises(Unauthorized):
        authenticate(life.ctx, second, WayIn.MCP)
    assert all(one.ended_at for one in list_agents(life.ctx, life.as_("ada")))


def test_a8_one_token_of_an_agent_is_revoked_alone(visit: Open, life: Life) -> None:
    ada = visit("ada")
    secrets = [issued(ada), issued(ada)]
    (agent,) = list_agents(life.ctx, life.as_("ada"))
    assert visit("eve").post(f"/profile/tokens/{agent.tokens[0].id}/revoke").status_code == 404
    ada.post(f"/profile/tokens/{agent.tokens[0].id}/revoke")
    with pytest.raises(Unauthorized):
        authenticate(life.ctx, secrets[0], WayIn.MCP)
    assert authenticate(life.ctx, secrets[1], WayIn.MCP).agent


def test_a8_admins_see_whose_agent_an_account_is_and_can_disable_it(visit: Open, life: Life) -> None:
    secret = issued(visit("ada"))
    adam = visit("adam")
    assert "agent of ada" in adam.page("/settings/people")
    page = adam.page("/settings/people/claude.ada")
    assert "Exactly the roles of" in page
    assert "Grant</button>" not in page
    assert "Set password" not in page
    assert "Issue token" not in page
    assert "claude.ada</a>" in adam.page("/settings/people/ada")
    assert "The agents that act for them end as well: claude.ada." in adam.page("/settings/people/ada/disable")
    adam.post("/settings/people/claude.ada/disable")
    with pytest.raises(Unauthorized):
        authenticate(life.ctx, secret, WayIn.MCP)


def test_a8_the_log_shows_agent_and_person(visit: Open, life: Life) -> None:
    """Whoever looks for what a person did finds what their agents did."""
    actor = authenticate(life.ctx, issued(visit("ada"), writes="true"), WayIn.MCP).actor
    save_version(life.ctx, actor, make_spec())
    adam = visit("adam")
    for who in ("claude.ada", "ada"):
        assert "claude.ada for ada" in adam.page(f"/audit?verb=version.saved&who={who}")
    assert "claude.ada for ada" not in adam.page("/audit?verb=version.saved&who=eve")


def test_a8_pages_and_their_forms_are_closed_to_an_agents_token(visit: Open) -> None:
    """A page knows sessions only; nobody can open one as an agent."""
    secret = issued(visit("lea"), writes="true")
    nobody = visit(None)
    for name in ("/approvals/1/approve", "/approvals/1/reject", "/settings/people", "/profile/tokens"):
        answer = nobody.client.post(name, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code in {303, 401, 403}, name
        answer = nobody.client.post(name, headers={"Cookie": f"{COOKIE}={secret}"})
        assert answer.status_code in {303, 401, 403}, name
