"""`drls up` in a real browser: the sign-in link leads to Dagster, and a page of another site gets nowhere."""

from __future__ import annotations

import http.server
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.drls_dagster.up.conftest import Up, left_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MUTATION = "mutation { setNuxSeen }"


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context()
    yield made
    made.close()


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[str]:
    """A page of another site: another origin, on the same machine."""
    (tmp_path / "index.html").write_text("<title>foreign</title>")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **options):
            super().__init__(*args, directory=str(tmp_path), **options)

        def log_message(self, format, *args):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_the_link_signs_in_and_dagster_works_behind_the_door(up: Up, context: BrowserContext) -> None:
    page = context.new_page()
    problems: list[str] = []
    page.on("response", lambda answer: problems.append(answer.url) if answer.status in (401, 403, 421) else None)
    page.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"{up.url}/sign-in#{up.link}")
    page.get_by_role("link", name="Dagster").click()
    expect(page).to_have_url(re.compile("/dagster/"), timeout=30_000)
    page.goto(f"{up.url}/dagster/deployment/locations")
    for environment in ("development", "qa", "uat", "production"):
        page.get_by_text(environment, exact=True).first.wait_for(timeout=30_000)
    assert problems == []
    assert page.evaluate("document.cookie") == ""


def test_a5_a_page_of_another_site_changes_nothing(up: Up, context: BrowserContext, foreign: str) -> None:
    page = context.new_page()
    page.goto(foreign)
    answers: list[int] = []
    page.on("response", lambda one: answers.append(one.status) if up.url in one.url else None)
    graphql = f"{up.url}/dagster/graphql"
    page.evaluate(
        """async ([url, query]) => {
          const bodies = [["text/plain", query], ["application/json", JSON.stringify({query})], ["application/graphql", query]];
          for (const [type, body] of bodies)
            await fetch(url, {method: "POST", credentials: "include", headers: {"Content-Type": type}, body}).catch(() => 0);
          const all = url + "?query=" + encodeURIComponent(query);
          await fetch(all, {mode: "no-cors", credentials: "include"}).catch(() => 0);
          await fetch(all, {method: "POST", mode: "no-cors", credentials: "include"}).catch(() => 0);
          await new Promise((done) => { const image = new Image(); image.onerror = done; image.src = all; });
        }""",
        [graphql, MUTATION],
    )
    opened = page.evaluate(
        """(url) => new Promise((done) => {
          const socket = new WebSocket(url, "graphql-ws");
          socket.onopen = () => done(true); socket.onerror = () => done(false);
        })""",
        graphql.replace("http", "ws"),
    )
    assert opened is False
    assert answers
    assert set(answers) <= {401, 403, 405}
    with page.expect_navigation():
        page.evaluate(
            """([url, query]) => {
              const form = document.createElement("form");
              form.method = "POST"; form.action = url + "?query=" + encodeURIComponent(query);
              document.body.append(form); form.submit();
            }""",
            [graphql, MUTATION],
        )
    assert answers[-1] in {401, 403}


def test_ctrl_c_ends_everything(up: Up) -> None:
    up_id = up.up_id
    wait_until(lambda: len(left_of(up_id)) >= 11, 30)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert left_of(up_id) == []
    assert not (up.home / "up" / "state.json").exists()
    assert list((up.home / "up").glob("*.sock")) == []
