"""The real app in Debian's Chromium: a server on a free port, a real database, one browser per person."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FloatRect, Page, ViewportSize, expect

from lifecycle.app.site import create_site
from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.fakes.clock import FakeClock
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import SETUP, Life

PASSWORD = "a long enough password"
# A bound, not a wait: on a busy machine a page may take its time.
expect.set_options(timeout=20_000)
WIDE = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)


class Server:
    """The app of a small world, over real HTTP; it can be stopped and started again on its port."""

    def __init__(self, life: Life) -> None:
        self.life = life
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """As a new process: nothing is left but the store and the tables."""
        config = uvicorn.Config(
            create_site(self.life.ctx), host="127.0.0.1", port=self.port, log_level="warning", lifespan="off", ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        give_up = threading.Event()
        for _ in range(200):
            if self._server.started:
                return
            give_up.wait(0.05)
        raise TimeoutError("the app did not start within 10 seconds")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=15)
        assert not self._thread.is_alive()


@pytest.fixture
def plane(tmp_path: Path) -> FakePlane:
    return FakePlane(tmp_path / "plane.db")


@pytest.fixture
def life(tmp_path: Path, plane: FakePlane) -> Iterator[Life]:
    clock = FakeClock()
    store = Store.create(f"sqlite:///{tmp_path / 'lifecycle.db'}", SigningKey.generate(), clock)
    made = Life(store, tmp_path, clock, plane=plane)
    with store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    yield made
    store.close()


@pytest.fixture
def server(life: Life) -> Iterator[Server]:
    made = Server(life)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def browse(server: Server, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a browser of its own for a person and signs in; its console must stay free of errors."""
    opened: list[tuple[Page, list[str]]] = []

    def open_for(name: str, *, dark: bool = False, phone: bool = False) -> Page:
        server.life.give_password(name, PASSWORD)
        context = chromium.new_context(
            viewport=PHONE if phone else WIDE, color_scheme="dark" if dark else "light", base_url=server.url
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        told: list[str] = []
        page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        opened.append((page, told))
        page.goto("/sign-in")
        sign_in(page, name)
        page.get_by_role("navigation", name="Main").wait_for()
        return page

    yield open_for
    for page, told in opened:
        page.context.close()
        broken = [line for line in told if "Content Security Policy" in line or "Error:" in line]
        assert not broken, broken


def sign_in(page: Page, name: str) -> None:
    """Fills and sends the form of the sign-in page that is open."""
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def accessible(page: Page, *also: str) -> None:
    """Raises AssertionError when axe finds something serious or critical on the page, or breaks one of the rules `also`."""
    found = Axe().run(page).response["violations"]
    grave = [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical") or one["id"] in also
    ]
    assert not grave, f"{page.url}: {grave}"


def fits(page: Page) -> None:
    """Raises AssertionError when the page itself scrolls sideways: nothing is cut off, a wide table scrolls in itself."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} scrolls sideways"


def in_every_look(page: Page, name: str) -> None:
    """The page as it stands, in light, dark and on a phone: readable, and its pictures kept."""
    for look, size, scheme in (("dark", WIDE, "dark"), ("phone", PHONE, "light"), ("light", WIDE, "light")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        accessible(page)
        fits(page)
        picture(page, f"{name}-{look}")


def picture(page: Page, name: str, *, clip: FloatRect | None = None, whole: bool = True) -> None:
    """Keeps a screenshot in the folder PICTURES, if it is set: of the `whole` page, the window, or the `clip`."""
    folder = os.environ.get("PICTURES")
    if folder:
        path = Path(folder) / f"{name}.png"
        page.screenshot(path=path, full_page=whole and clip is None, clip=clip, animations="disabled")
