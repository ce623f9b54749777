"""Every way in which an agent could try to get an approval, or whatever else only people do, is refused (A8, L6)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from agent.tools.dispatch import find_tool
from agent.tools.errors import ToolError
from agent.tools.registry import all_tools
from drls_dagster import settings
from drls_dagster.cli.main import run
from drls_dagster.lifecycle_client import Adapters
from lifecycle.app.kit.request import COOKIE
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.people import WAY_IN
from lifecycle.domain.promotion import State
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.verbs import people, promotions
from lifecycle.verbs.table import ROWS, Row
from tests.agent.matrix import MINE, TRANSPORTS, World, matrix_world, mcp_server
from tests.agent.mcp.world import agrees, ask, over_http
from tests.drls_dagster.lifecycle_client.test_both_ways import given_for
from tests.fakes.passwords import CHEAP
from tests.lifecycle.app.sites import PAGES, TABLE
from tests.lifecycle.app.test_doors import filled

CLOSED = [row for row in ROWS if not row.agents]
# Whoever has each of these as a person may decide about the request that waits.
MIGHTY = ("lea", "adam")
DECIDING = ("approve", "reject", "review", "break_glass", "set_policy", "grant", "add_person", "token")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("matrix") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRLS_HOME", str(home))
        settings._load.cache_clear()
        with matrix_world(home) as made:
            yield made
    settings._load.cache_clear()


def tokens_of(world: World, name: str) -> list[str]:
    """A token of 15 minutes, and a long one that needs nobody's confirmation."""
    return [world.agent_token(name, "store"), world.long_token(name)]


def still_waits(world: World) -> bool:
    return all(
        world.life.promotion(place.request).state is State.REQUESTED
        for place in world.places.values()
        if place.request < 999_999
    )


@pytest.mark.parametrize("row", CLOSED, ids=lambda row: row.verb.name)
def test_a8_no_agent_calls_a_verb_for_people_in_a_store_or_over_rest(world: World, row: Row) -> None:
    given = given_for(row)
    if "promotion_id" in given:
        waiting = world.life.promotion(world.places[MINE].request)
        given |= {"promotion_id": waiting.id}
        given |= {"plan_digest": waiting.plan_digest} if "plan_digest" in given else {}
    for name in MIGHTY:
        for token in tokens_of(world, name):
            before = world.entries
            for transport in TRANSPORTS:
                with pytest.raises(Forbidden, match=rf"claude\.{name} is an agent, and no agent may .*ask {name}"):
                    world.lifecycle(transport, token).ask(row.verb, given)
            assert world.entries == before
    assert still_waits(world)


def test_l6_what_decides_is_among_them() -> None:
    named = {row.verb for row in CLOSED}
    deciding = (promotions.approve, promotions.reject, promotions.review, promotions.break_glass)
    tokens = (people.issue_token, people.issue_service_token, people.issue_agent_token, people.agent_token)
    assert named >= {*deciding, *tokens, people.signed_token, people.grant, people.add, people.set_password}
    assert all(row.need.scope not in {TokenScope.APPROVE, TokenScope.ADMIN} for row in ROWS if row.agents)


@pytest.mark.parametrize("route", sorted(TABLE), ids=" ".join)
def test_a8_no_route_of_the_site_lets_an_agent_do_what_is_not_for_agents(world: World, route: tuple[str, str]) -> None:
    """Sections bring routes of their own: one that takes approve or admin is closed to agents all the same."""
    need, (method, path) = TABLE[route], route
    if not need.signed_in or (need.agents and need.scope not in {TokenScope.APPROVE, TokenScope.ADMIN}):
        return
    before = world.entries
    for token in tokens_of(world, "adam"):
        before = max(before, world.entries)
        answer = world.client.request(method, filled(path), headers={"Authorization": f"Bearer {token}"}, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), answer.text
    assert world.entries == before


@pytest.mark.parametrize("header", ["Authorization", "Cookie"])
def test_a8_no_page_and_no_form_opens_to_an_agents_token(world: World, header: str) -> None:
    token = world.long_token("adam")
    sent = {"Authorization": f"Bearer {token}", "Cookie": f"{COOKIE}={token}"}
    given = {header: sent[header]}
    before = world.entries
    for (method, path), need in sorted(PAGES.items()):
        if not need.signed_in:
            continue
        for target in {filled(path), filled(path).replace("/1", f"/{world.places[MINE].request}", 1)}:
            body: dict[str, Any] = {"data": {"csrf": "x", "key": "x", "reason": "x"}} if method == "POST" else {}
            answer = world.client.request(method, target, headers=given, follow_redirects=False, **body)
            assert answer.status_code in {303, 401, 403}, f"{method} {target}: {answer.status_code}"
            assert answer.status_code != 303 or answer.headers["location"].startswith("/sign-in"), target
    assert world.entries == before


def test_a8_no_agent_signs_in(world: World) -> None:
    world.long_token("lea")
    for account in ("claude.lea", "lea"):
        answer = world.client.post("/api/session", json={"account": account, "password": "a password, perhaps"})
        assert answer.status_code == 401
    token = world.long_token("lea")
    assert world.client.post("/api/session/link", json={"secret": token}).status_code == 401
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"{COOKIE}={token}"}):
        body = {"password": "a password of 12 or more"}
        assert world.client.put("/api/me/password", json=body, headers=headers).status_code in {401, 403}


@pytest.mark.parametrize("tool", DECIDING)
def test_l6_no_tool_decides(world: World, tool: str) -> None:
    call = world.call("lea", "store")
    with pytest.raises(ToolError, match="there is no tool"):
        find_tool(tool, call)
    assert not [one.name for one in all_tools() if re.search(rf"(^|_){tool}(_|$)", one.name)]


def test_l6_nothing_over_mcp_decides(world: World) -> None:
    """Nor does a person's own token there: the server turns it into one of their agent."""
    waiting = world.life.promotion(world.places[MINE].request)
    given = {"promotion_id": waiting.id, "request": waiting.id, "plan_digest": waiting.plan_digest}

    async def tries(client: Client) -> list[bool]:
        return [(await client.call_tool(name, given)).is_error for name in DECIDING]

    with mcp_server(world) as url:
        for token in (world.token("lea"), *tokens_of(world, "lea")):
            connected: Any = over_http(url, token, elicitation_callback=agrees(True, []))
            assert all(ask(connected, tries))
    assert still_waits(world)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a8_an_agent_gets_no_wider_token_and_is_believed_nothing(world: World, transport: str) -> None:
    token = world.agent_token("lea", transport)
    assert set(world.lifecycle(transport, token).ask(people.me, {}).scopes) == {TokenScope.READ, TokenScope.WRITE}
    # Whoever changes what is written in it has another token, which nobody signed.
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    for change in (
        {"scopes": ["read", "write", "approve", "admin"]},
        {"sub": str(world.life.person("lea"))},
        {"exp": claims["exp"] + 10**6},
    ):
        wider = base64.urlsafe_b64encode(json.dumps({**claims, **change}).encode()).decode().rstrip("=")
        with pytest.raises(Unauthorized):
            world.lifecycle(transport, f"{head}.{wider}.{signature}").ask(people.me, {})


def test_a8_what_a_request_says_of_its_way_widens_nothing(world: World) -> None:
    waiting = world.life.promotion(world.places[MINE].request)
    for way in ("web", "cli", "system", "mcp", "human"):
        for token in tokens_of(world, "lea"):
            headers = {"Authorization": f"Bearer {token}", WAY_IN: way, "X-Forwarded-User": "lea"}
            answer = world.client.post(
                f"/api/approvals/{waiting.id}/approve", json={"plan_digest": waiting.plan_digest}, headers=headers
            )
            assert answer.status_code == 403, answer.text
    assert still_waits(world)


COMMANDS: dict[str, tuple[str, ...]] = {
    "approve": ("approvals", "approve", "{request}", "--plan", "{plan}"),
    "reject": ("approvals", "reject", "{request}", "--reason", "no"),
    "break the glass": ("promote", "mine@1", "--to", "production", "--break-glass", "--reason", "now"),
    "issue a token": ("token", "issue", "mine", "--scope", "approve"),
    "issue an agent a token": ("token", "issue", "--agent", "other", "--unattended"),
    "add somebody": ("user", "add", "friend"),
    "grant": ("user", "grant", "vic", "Admin"),
    "set a password": ("user", "password", "vic"),
    "link": ("user", "link", "vic", "https://id.example.org|1"),
    "add a team": ("team", "add", "risk"),
    "set a policy": ("policy", "set", "production", "--quorum", "1 DataEngineer"),
}  # fmt: skip


@pytest.mark.parametrize("what", COMMANDS)
def test_a8_no_command_does_it_with_an_agents_token(
    world: World, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    life, waiting = world.life, world.life.promotion(world.places[MINE].request)
    arguments = [one.format(request=waiting.id, plan=waiting.plan_digest) for one in COMMANDS[what]]
    given = Adapters(plane=life.plane, orchestrator=life.dagster, clock=life.clock, passwords=CHEAP)
    monkeypatch.setenv("DRLS_HOME", str(world.settings.home))
    settings._load.cache_clear()
    for name in MIGHTY:
        for token in tokens_of(world, name):
            monkeypatch.setenv("DRLS_TOKEN", token)
            stdin: Any = (tmp_path / "stdin").open("a+")
            stdin.write("a password of 12 or more\n" * 2)
            stdin.seek(0)
            monkeypatch.setattr("sys.stdin", stdin)
            before = world.entries
            code = run(arguments, given)
            said = capsys.readouterr()
            stdin.close()
            assert code == 1, said.out + said.err
            assert "is an agent" in said.err, said.err
            assert world.entries == before
    assert still_waits(world)
