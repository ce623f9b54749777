"""The server over HTTP, asked by the official client in both eras of the protocol, and by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from agent.mcp.office import MOST_CALLS
from agent.mcp.server import INSTRUCTIONS
from agent.tools.dispatch import LONGEST_ANSWER
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.roles import Role
from tests.agent.mcp.world import (
    MODES,
    SUITE,
    HttpServer,
    World,
    agrees,
    ask,
    http_server,
    names,
    over_http,
    text_of,
    world_at,
)
from tests.lifecycle.life import SETUP
from tests.waiting import wait_until

ACCEPT = {"Accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_at(tmp_path_factory.mktemp("http") / "home") as made:
        yield made


@pytest.fixture(scope="module")
def suite(world: World) -> Iterator[HttpServer]:
    """With the tools of suite_offers; who shows no token is eve."""
    with http_server(world, SUITE, "--port", "0", DRLS_TOKEN=world.token("eve"), DRLS_MCP__BURST="1000") as running:
        yield running


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[HttpServer]:
    """As people start it."""
    with http_server(world) as running:
        yield running


@pytest.fixture(scope="module")
def ada(world: World) -> str:
    return world.token("ada")


@pytest.mark.parametrize("mode", MODES)
def test_a_client_learns_what_there_is(suite: HttpServer, ada: str, mode: str) -> None:
    async def look(client: Client) -> None:
        assert client.instructions == INSTRUCTIONS
        tools = {one.name: one for one in (await client.list_tools()).tools}
        reading, changing = tools["test_simple_text"].annotations, tools["test_elicitation"].annotations
        assert reading is not None
        assert reading.read_only_hint
        assert changing is not None
        assert (changing.read_only_hint, changing.destructive_hint, changing.idempotent_hint) == (False, True, False)
        assert tools["test_elicitation"].input_schema["required"] == ["message"]
        assert "text" in (tools["test_simple_text"].output_schema or {})["properties"]
        answer = await client.call_tool("test_simple_text", {})
        assert answer.structured_content == json.loads(text_of(answer))
        assert answer.structured_content["text"].startswith("This is a simple text")
        assert [one.uri_template for one in (await client.list_resource_templates()).resource_templates]
        read = await client.read_resource("test://template/a%20b/data")
        assert isinstance(read.contents[0], types.TextResourceContents)
        assert json.loads(read.contents[0].text)["id"] == "a b"

    ask(over_http(suite.url, ada, mode), look)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("yes", [True, False])
def test_a_person_is_asked_and_their_answer_counts(suite: HttpServer, ada: str, mode: str, yes: bool) -> None:
    asked: list[str] = []

    async def change(client: Client) -> types.CallToolResult:
        return await client.call_tool("test_elicitation", {"message": "Roll back flights?"})

    answer = ask(over_http(suite.url, ada, mode, elicitation_callback=agrees(yes, asked)), change)
    assert asked == ["Roll back flights?"]
    assert answer.is_error is not yes
    assert ("confirmed" if yes else "nothing was changed") in text_of(answer)


@pytest.mark.parametrize("mode", MODES)
def test_without_anybody_to_ask_nothing_is_changed(suite: HttpServer, ada: str, mode: str) -> None:
    async def change(client: Client) -> types.CallToolResult:
        return await client.call_tool("test_elicitation", {"message": "Roll back flights?"})

    answer = ask(over_http(suite.url, ada, mode), change)
    assert answer.is_error
    assert "a person must confirm this first: Roll back flights?" in text_of(answer)
    assert "drls token issue --agent NAME --unattended" in text_of(answer)


def test_an_answer_of_a_person_counts_once_and_for_its_question(suite: HttpServer, ada: str) -> None:
    """What a client sends back is sealed: for another call, or a second time, it is worth nothing."""

    async def replay(client: Client) -> None:
        call = {"name": "test_elicitation", "arguments": {"message": "Once?"}}
        asked = await client.session.call_tool(**call, allow_input_required=True)
        assert isinstance(asked, types.InputRequiredResult)
        agreed: Any = {"confirm": types.ElicitResult(action="accept", content={"confirm": True})}
        given = {"input_responses": agreed, "request_state": asked.request_state, "allow_input_required": True}
        other = {**call, "arguments": {"message": "Something else?"}}
        with pytest.raises(MCPError, match="requestState"):
            await client.session.call_tool(**other, **given)
        first = await client.session.call_tool(**call, **given)
        assert isinstance(first, types.CallToolResult)
        assert "confirmed" in text_of(first)
        again = await client.session.call_tool(**call, **given)
        assert isinstance(again, types.InputRequiredResult)

    asks = agrees(True, [])
    ask(over_http(suite.url, ada, "auto", elicitation_callback=asks), replay)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_hears_how_far_a_tool_is(suite: HttpServer, ada: str, mode: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def note(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async def call(client: Client) -> None:
        await client.call_tool("test_tool_with_progress", {}, progress_callback=note)

    ask(over_http(suite.url, ada, mode), call)
    assert sorted(heard) == [(0, 100, "0 of 100"), (50, 100, "50 of 100"), (100, 100, "100 of 100")]


@pytest.mark.parametrize("mode", MODES)
def test_a_cancelled_call_reaches_its_tool(suite: HttpServer, ada: str, mode: str, tmp_path: Path) -> None:
    file = tmp_path / "state"

    async def cancel(client: Client) -> None:
        calling = asyncio.ensure_future(client.call_tool("wait_until_cancelled", {"message": str(file)}))
        await asyncio.to_thread(wait_until, file.exists)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await asyncio.to_thread(wait_until, lambda: file.read_text() == "cancelled")
        assert "simple text" in text_of(await client.call_tool("test_simple_text", {}))

    ask(over_http(suite.url, ada, mode), cancel)


def test_errors_say_what_to_do_and_nothing_of_the_insides(suite: HttpServer, ada: str) -> None:
    async def fail(client: Client) -> dict[str, types.CallToolResult]:
        calls = {"break_inside": {}, "answer_too_much": {}, "no_such_tool": {}, "test_elicitation": {"massage": "x"}}
        return {name: await client.call_tool(name, given) for name, given in calls.items()}

    found = ask(over_http(suite.url, ada), fail)
    assert all(one.is_error for one in found.values())
    inside = text_of(found["break_inside"])
    assert "hunter2" not in inside
    assert "\n" not in inside
    number = inside.rpartition(" ")[2]
    wait_until(lambda: f"break_inside failed ({number})" in suite.told() and "hunter2" in suite.told())
    assert f"{LONGEST_ANSWER:,}" in text_of(found["answer_too_much"])
    assert "the tools are: " in text_of(found["no_such_tool"])
    assert "message: Field required" in text_of(found["test_elicitation"])


def test_lists_come_in_pages_and_a_wrong_cursor_is_named(server: HttpServer, world: World, ada: str) -> None:
    async def look(client: Client) -> None:
        found = [one.uri for one in (await client.list_resources()).resources]
        assert "drls://docs/rules" in found
        with pytest.raises(MCPError, match="not one of ours"):
            await client.list_resources(cursor="x")
        with pytest.raises(MCPError, match="there is no resource drls://nothing"):
            await client.read_resource("drls://nothing")
        with pytest.raises(MCPError, match="debug_run needs run"):
            await client.get_prompt("debug_run", {})
        with pytest.raises(MCPError, match="the prompts are: debug_run, design_pipeline, review_promotion"):
            await client.get_prompt("x", {})

    ask(over_http(server.url, ada), look)


def test_a_long_page_goes_on_at_another_address(server: HttpServer, ada: str) -> None:
    async def read(client: Client) -> tuple[str, str]:
        async def text(uri: str) -> str:
            content = (await client.read_resource(uri)).contents[0]
            assert isinstance(content, types.TextResourceContents)
            assert len(content.text.encode()) <= LONGEST_ANSWER
            return content.text

        first = await text("drls://docs/rules")
        return first, await text(first.rpartition("drls://docs/")[1] + first.rpartition("drls://docs/")[2].strip())

    first, second = ask(over_http(server.url, ada), read)
    assert first.startswith("# The rules")
    assert second
    assert not second.startswith("# The rules")


def test_names_are_completed_for_who_may_see_them(server: HttpServer, world: World, ada: str) -> None:
    world.life.save(by="ada")
    nobody = world.life.add_person("nobody", None)
    token = world.token(nobody.name)
    seen = types.ResourceTemplateReference(type="ref/resource", uri="drls://pipelines/{pipeline}")

    async def complete(client: Client) -> tuple[list[str], list[str]]:
        environments = await client.complete(seen, {"name": "environment", "value": "PRO"})
        pipelines = await client.complete(seen, {"name": "pipeline", "value": "fli"})
        return environments.completion.values, pipelines.completion.values

    assert ask(over_http(server.url, ada), complete) == (["production"], ["flights"])

    async def refused(client: Client) -> None:
        with pytest.raises(MCPError, match="role Viewer"):
            await client.complete(seen, {"name": "pipeline", "value": "fli"})

    ask(over_http(server.url, token), refused)


@pytest.mark.parametrize(
    ("wanted", "seen"), [("", {"test_simple_text", "test_elicitation"}), ("?toolsets=read", {"test_simple_text"})]
)
def test_a_client_chooses_toolsets_in_the_address(suite: HttpServer, ada: str, wanted: str, seen: set[str]) -> None:
    async def look(client: Client) -> set[str]:
        return set(names((await client.list_tools()).tools))

    found = ask(over_http(suite.url + wanted, ada), look)
    assert found & {"test_simple_text", "test_elicitation"} == seen


def test_a_token_for_reading_has_reading_tools_only(suite: HttpServer, world: World) -> None:
    async def look(client: Client) -> tuple[list[str], types.CallToolResult]:
        return names((await client.list_tools()).tools), await client.call_tool("test_elicitation", {"message": "?"})

    found, called = ask(over_http(suite.url, world.token("ada", TokenScope.READ)), look)
    assert "test_elicitation" not in found
    assert called.is_error
    assert "there is no tool test_elicitation for this token" in text_of(called)


def test_who_shows_no_good_token_is_told_where_to_read_more(server: HttpServer, world: World) -> None:
    where = server.url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource/mcp"
    for headers, told in ({}, "drls token issue"), ({"Authorization": "Bearer x"}, "invalid_token"):
        answer = httpx2.post(server.url, json=HELLO, headers={**ACCEPT, **headers}, trust_env=False)
        assert answer.status_code == 401
        assert told in answer.text
        assert f'resource_metadata="{where}"' in answer.headers["www-authenticate"]
    found = httpx2.get(where, trust_env=False).json()
    assert found["resource"] == server.url
    assert found["scopes_supported"] == ["read", "write"]
    assert found["bearer_methods_supported"] == ["header"]


def test_a_token_that_has_expired_is_refused(server: HttpServer, world: World) -> None:
    expired = world.token("ada", life=timedelta(microseconds=1))
    answer = _post(server, expired)
    assert answer.status_code == 401
    assert "expired" in answer.headers["www-authenticate"]


def test_a_service_account_has_no_agent(server: HttpServer, world: World) -> None:
    answer = _post(server, world.token("bot"))
    assert answer.status_code == 403
    told = answer.json()["error_description"]
    assert told == (
        "bot is a service account, and only people have agents; ada can issue a token for this program: "
        "drls token issue --agent NAME"
    )


def test_one_agent_has_a_bounded_number_of_calls_at_once(suite: HttpServer, world: World, tmp_path: Path) -> None:
    token = world.token("lea")

    async def many(client: Client) -> str:
        files = [tmp_path / str(number) for number in range(MOST_CALLS)]
        calling = [
            asyncio.ensure_future(client.call_tool("wait_until_cancelled", {"message": str(one)})) for one in files
        ]
        await asyncio.to_thread(wait_until, lambda: all(one.exists() for one in files))
        told = text_of(await client.call_tool("test_simple_text", {}))
        for one in calling:
            one.cancel()
        await asyncio.gather(*calling, return_exceptions=True)
        await asyncio.to_thread(wait_until, lambda: all(one.read_text() == "cancelled" for one in files))
        return told

    assert "8 calls are running already" in ask(over_http(suite.url, token), many)


def test_a_token_that_may_not_read_is_refused_with_the_scope(server: HttpServer, world: World) -> None:
    answer = _post(server, world.token("ada", TokenScope.APPROVE))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="read"' in answer.headers["www-authenticate"]


def test_pages_of_other_sites_and_foreign_names_are_refused(server: HttpServer, ada: str) -> None:
    assert _post(server, ada, Origin="http://evil.example").status_code == 403
    assert _post(server, ada, Origin=server.url.removesuffix("/mcp")).status_code == 200
    assert _post(server, ada, Host="evil.example").status_code == 421
    assert _post(server, ada, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_body_that_is_too_long_is_refused(server: HttpServer, ada: str) -> None:
    long = {**HELLO, "params": {**HELLO["params"], "filler": "x" * 5_000_000}}
    assert _post(server, ada, long).status_code == 413


def test_a_version_of_the_protocol_that_nobody_knows_is_refused(server: HttpServer, ada: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    assert _post(server, ada, call, **{"MCP-Protocol-Version": "1999-01-01"}).status_code == 400


def test_a_session_belongs_to_the_token_that_opened_it(server: HttpServer, world: World, ada: str) -> None:
    session = _post(server, ada).headers["mcp-session-id"]
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
    mine = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    for token in (world.token("eve"), world.token("ada")):
        assert _post(server, token, call, **mine).status_code == 404
    assert (
        httpx2.delete(server.url, headers={**_bearer(world.token("eve")), **mine}, trust_env=False).status_code == 404
    )
    assert httpx2.delete(server.url, headers={**_bearer(ada), **mine}, trust_env=False).status_code == 200
    assert _post(server, ada, call, **mine).status_code == 404


@pytest.mark.parametrize("mode", MODES)
def test_what_is_revoked_ends_in_the_middle_of_a_session(server: HttpServer, world: World, mode: str) -> None:
    token = world.token("ada")

    async def use(client: Client) -> None:
        await client.call_tool("search", {"kind": "pipeline"})
        with world.life.store.write(world.life.as_("ada"), "revoke") as unit:
            newest = max(unit.people.tokens(world.life.person("ada")), key=lambda one: one.id)
            unit.people.end_token(newest)
            unit.audit("token.revoked", f"token:{newest.id}")
        with pytest.raises((MCPError, httpx2.HTTPError)):
            await client.call_tool("search", {"kind": "pipeline"})

    ask(over_http(server.url, token, mode), use)
    assert _post(server, token).status_code == 401


@pytest.mark.parametrize("mode", MODES)
def test_a_grant_that_is_revoked_between_two_calls_counts_no_more(server: HttpServer, world: World, mode: str) -> None:
    life = world.life
    life.save(by="ada")
    person = life.add_person(f"passing-{mode}", Role.VIEWER)

    async def use(client: Client) -> None:
        for _ in range(3):
            seen = await client.call_tool("search", {"kind": "pipeline"})
            assert "flights" in str(seen.structured_content)
        with life.store.write(SETUP, "revoke") as unit:
            for grant in unit.people.grants(person.person or 0):
                unit.people.revoke_grant(grant)
                unit.audit("grant.revoked", f"grant:{grant.id}")
        refused = await client.call_tool("search", {"kind": "pipeline"})
        assert refused.is_error
        assert "flights" not in text_of(refused)

    ask(over_http(server.url, world.token(person.name), mode), use)


def test_two_clients_at_once_see_what_each_of_them_may(server: HttpServer, world: World, ada: str) -> None:
    world.life.save(by="ada")
    nobody = world.token(world.life.add_person("stranger", None).name)

    async def both() -> tuple[types.CallToolResult, types.CallToolResult]:
        async with asyncio.timeout(60), over_http(server.url, ada) as one, over_http(server.url, nobody) as other:
            return tuple(
                await asyncio.gather(*(each.call_tool("search", {"kind": "pipeline"}) for each in (one, other)))
            )

    mine, theirs = asyncio.run(both())
    assert mine.structured_content is not None
    assert "flights" in str(mine.structured_content["found"])
    assert theirs.is_error
    assert "flights" not in text_of(theirs)


def test_who_asks_too_often_is_told_when_to_ask_again(world: World) -> None:
    limits = {"DRLS_MCP__BURST": "3", "DRLS_MCP__REQUESTS_PER_MINUTE": "1"}
    with http_server(world, **limits) as server:
        ada, eve = world.token("ada"), world.token("eve")
        assert [_post(server, ada).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = _post(server, ada)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "may ask again in" in refused.text
        assert _post(server, eve).status_code == 200


def test_a_client_that_disconnects_leaves_the_server_to_others(suite: HttpServer, ada: str, tmp_path: Path) -> None:
    file = tmp_path / "state"
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "wait_until_cancelled",
            "arguments": {"message": str(file)},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "wait_until_cancelled"}

    async def leave() -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            asked = {**ACCEPT, **_bearer(ada), **headers}
            calling = asyncio.ensure_future(client.post(suite.url, json=call, headers=asked))
            await asyncio.to_thread(wait_until, file.exists)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)

    asyncio.run(leave())
    wait_until(lambda: file.read_text() == "cancelled")
    assert _post(suite, ada).status_code == 200


def test_the_audit_names_agent_person_and_way(server: HttpServer, world: World, ada: str) -> None:
    ask(over_http(server.url, ada), lambda client: client.call_tool("search", {"kind": "pipeline"}))
    with world.life.store.read() as view:
        entries = list(view.log.search(subject=None, verb="agent.started", before=None, limit=50))
    assert any("mcp" in str(one) and "ada" in str(one) for one in entries)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _post(server: HttpServer, token: str, body: Any = HELLO, **headers: str) -> httpx2.Response:
    return httpx2.post(
        server.url, json=body, headers={**ACCEPT, **_bearer(token), **headers}, timeout=60, trust_env=False
    )
