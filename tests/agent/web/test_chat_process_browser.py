"""The chat page with the real chat process's service behind it, real tools, and a model provider that plays a script."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from starlette.types import Receive, Scope, Send

from agent.chat.app import chat_routes
from agent.chat.model import ModelClient
from agent.chat.service import ChatService
from agent.tools.callers import Callers
from agent.web.process import AGENT, ChatProcess
from agent.web.section import SECTION
from lifecycle.app.sections import SECTIONS
from lifecycle.app.site import create_site
from lifecycle.usecases.context import Context
from tests.agent.chat.world import World
from tests.browser.conftest import PASSWORD, WIDE, accessible, picture, sign_in
from tests.fakes.model import Hangs, Says
from tests.lifecycle.life import SETUP
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Served:
    """An app in a thread, on a port or a socket."""

    def __init__(self, app: Callable[[], object], **where: object) -> None:
        self._app, self._where = app, where

    def start(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        wait_until(lambda: self.server.started, 20)

    async def _serve(self) -> None:
        # What it is made of belongs to this loop.
        app = self._app()
        self.server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                lifespan="off",
                ws="none",
                interface="asgi3",
                timeout_graceful_shutdown=1,
                **self._where,
            )  # type: ignore[arg-type]
        )
        self._ready.set()
        await self.server.serve()
        if isinstance(app, Closing):
            await app.close()

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


class Closing:
    """The chat process's app, and what it has to close."""

    def __init__(self, world: World) -> None:
        self._callers = Callers(world.settings, agent=AGENT)
        self._service = ChatService(world.settings, self._callers, world.store(), ModelClient(world.settings.agent))
        self._app = chat_routes(self._service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def close(self) -> None:
        await self._service.close()
        self._callers.close()


@pytest.fixture
def socket(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("s") / "chat.sock"
    made = Served(lambda: Closing(world), uds=str(path))
    made.start()
    yield path
    made.stop()


@contextmanager
def visited(world: World, socket: Path, chromium: Browser) -> Iterator[Page]:
    """The list of chats in Ada's browser."""
    with world.context() as ctx:
        set_password(ctx, "ada")
        port = free_port()
        site = create_site(ctx, (*SECTIONS, SECTION), connected=(ChatProcess(socket),))
        served = Served(lambda: site, host="127.0.0.1", port=port)
        served.start()
        context = chromium.new_context(viewport=WIDE, base_url=f"http://127.0.0.1:{port}")
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto("/sign-in?back=/chats")
        sign_in(page, "ada")
        expect(page.get_by_role("heading", name="Chats")).to_be_visible()
        try:
            yield page
        finally:
            context.close()
            served.stop()


@pytest.fixture
def page(world: World, socket: Path, chromium: Browser) -> Iterator[Page]:
    with visited(world, socket, chromium) as page:
        yield page


def free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def set_password(ctx: Context, name: str) -> None:
    with ctx.store.write(SETUP, "setup") as unit:
        unit.people.change(unit.people.named(name).id, password_hash=ctx.passwords.hash(PASSWORD))
        unit.audit("password.set", f"person:{name}")


def say(page: Page, text: str) -> None:
    # An answer is read before its turn has ended, and until then nothing is sent.
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_a_whole_conversation_with_the_real_process(page: Page, world: World) -> None:
    world.fake.play(
        Says("Let me look.", calls=(("look", {"what": "table"}),)),
        Says("There is **a row** in it.\n\n![x](https://evil.example/p.png) [more](https://evil.example/?q=1)"),
    )
    page.goto("/chats/new")
    say(page, "What is in the table?")
    # The first question imports litellm.
    expect(page.get_by_label("TRex").last.locator("strong")).to_have_text("a row", timeout=180_000)
    card = page.get_by_role("article", name="Look: done")
    card.get_by_text("Output").click()
    expect(card).to_contain_text("a row")
    expect(page.locator("main img, .entry a")).to_have_count(0)
    expect(page.locator("#chat-bar")).to_contain_text("of 2\u202f000\u202f000 tokens")

    world.fake.play(Says(calls=(("ask_first", {"pipeline": "flights", "rows": 3}),)), Says("Nothing was changed."))
    say(page, "Save three rows")
    asking = page.get_by_role("article", name="waiting for you")
    expect(asking).to_contain_text("Save flights?")
    expect(asking.locator(".arguments")).to_contain_text("rows3")
    accessible(page)
    picture(page, "chat-process-confirm")
    asking.get_by_role("button", name="Refuse").click()
    expect(page.get_by_text("Nothing was changed.", exact=True)).to_be_visible()
    assert world.versions() == 1

    world.fake.play(Says(calls=(("ask_first", {"pipeline": "flights", "rows": 3}),)), Says("Saved as version 2."))
    say(page, "Save them after all")
    asking.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Saved as version 2.")).to_be_visible()
    expect(page.get_by_text("Confirmed by ada")).to_be_visible()
    assert world.versions() == 2

    hangs = Hangs("One moment please ")
    world.fake.play(hangs)
    say(page, "Think for long")
    assert hangs.began.wait(60)
    expect(page.get_by_label("TRex").last).to_contain_text("One moment please")
    page.reload()
    expect(page.get_by_label("TRex").last).to_contain_text("One moment please")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    assert hangs.left.wait(60)
    say(page, "Thanks")
    expect(page.get_by_text("Done.", exact=True)).to_be_visible()
    picture(page, "chat-process")
    page.goto("/chats?q=after all")
    expect(page.get_by_role("link", name="What is in the table?")).to_be_visible()


@contextmanager
def running(socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The chat process itself."""
    command = [sys.executable, "-m", "agent.chat.serve", "--socket", str(socket)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: socket.exists() or process.poll() is not None, 120)
        assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait(30)


def test_a_chat_goes_on_after_its_process_was_killed(
    world: World,
    chromium: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    socket = tmp_path_factory.mktemp("s") / "chat.sock"
    hangs = Hangs("One moment please ")
    world.fake.play(hangs)
    with running(socket) as process, visited(world, socket, chromium) as page:
        page.goto("/chats/new")
        say(page, "Think for long")
        assert hangs.began.wait(180)
        expect(page.get_by_label("TRex")).to_contain_text("One moment")
        process.kill()
        process.wait(30)
        socket.unlink()
        expect(page.locator("#chat-away")).to_contain_text("the chat process is not running")
        with running(socket):
            expect(page.locator("#chat-away")).to_be_hidden(timeout=60_000)
            expect(page.get_by_role("button", name="Stop")).to_have_count(0)
            expect(page.locator(".note")).to_have_count(1)
            picture(page, "chat-restarted")
            say(page, "Again")
            expect(page.get_by_text("Done.", exact=True)).to_be_visible(timeout=180_000)
            expect(page.get_by_label("You")).to_have_text(["Think for long", "Again"])
