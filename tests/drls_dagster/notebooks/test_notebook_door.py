"""Who reaches a notebook: its person's browser, from our own pages, as long as the session lasts."""

from __future__ import annotations

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lifecycle.domain.notebooks import NotebookState
from lifecycle.usecases.accounts import disable_person
from tests.drls_dagster.notebooks.conftest import HEAD, Browser, World
from tests.waiting import wait_until

pytestmark = pytest.mark.tables
WS = "/notebook/ada/ws?session_id=s_looker&file=x.py"


def _refused(browser: Browser, path: str = WS, **how: str) -> bool:
    try:
        with browser.socket(path, **how):
            return False
    except InvalidStatus as error:
        return error.response.status_code == 403


def test_a9_nobody_reaches_anothers_notebook_nor_learns_whether_there_is_one(world: World) -> None:
    world.start()
    ada, eve, adam = world.visit("ada"), world.visit("eve"), world.visit("adam")
    assert ada.get("/notebook/ada/health").json() == {"status": "healthy"}
    for other in (eve, adam):
        there, none = other.get("/notebook/ada/health"), other.get("/notebook/nobody/health")
        assert there.status_code == none.status_code == 403
        assert there.json() == none.json()
        assert other.post("/notebook/ada/api/kernel/run", {}).status_code == 403
        assert _refused(other)


def test_a9_a_guessed_path_is_refused(world: World) -> None:
    world.start()
    eve = world.visit("eve")
    for path in ("/notebook/%61da/health", "/notebook//ada/health", "/notebook/eve/../ada/health", "/notebook/Ada/health",
                 "/notebook/eve/%2e%2e/ada/health", "/notebook/ada%2Fhealth", "/notebook/ada%00/health"):  # fmt: skip
        with httpx.Client(trust_env=False, headers={"Cookie": eve.cookie}, timeout=60) as client:
            request = client.build_request("GET", world.url)
            request.url = httpx.URL(world.url, raw_path=path.encode())
            assert client.send(request).status_code in {400, 403}, path


def test_a9_a_page_of_another_site_is_refused(world: World) -> None:
    world.start()
    ada = world.visit("ada")
    path, foreign = "/notebook/ada/api/kernel/run", {"Origin": "http://evil.example"}
    assert ada.post(path, {}, **foreign).status_code == 403
    assert ada.post(path, {}, **{"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert ada.http.post(path, json={}).status_code == 403  # says nothing of where it comes from
    for site in ("cross-site", "same-site"):
        assert ada.get("/notebook/ada/", **{"Sec-Fetch-Site": site}).status_code == 403
    assert ada.get("/notebook/ada/", **foreign).status_code == 403
    assert _refused(ada, origin="http://evil.example")
    assert _refused(ada, origin=f"http://127.0.0.1:{world.port + 1}")
    assert _refused(ada, origin="")


def test_a9_without_a_session_nothing_opens(world: World) -> None:
    world.start()
    ada = world.visit("ada")
    assert httpx.get(f"{world.url}/notebook/ada/health", trust_env=False).status_code == 401
    page = httpx.get(f"{world.url}/notebook/ada/", headers={"Accept": "text/html"}, trust_env=False)
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?back=%2Fnotebook%2Fada%2F")
    assert _refused(ada, cookie="")
    assert _refused(ada, cookie="drls_session=drls_guessed")
    bearer = {"Authorization": "Bearer own"}
    assert httpx.get(f"{world.url}/notebook/ada/health", headers=bearer, trust_env=False).status_code == 403


def test_a9_pages_reach_their_own_notebook_alone_and_show_no_secret(world: World) -> None:
    world.start()
    ada = world.visit("ada")
    page = ada.get("/notebook/ada/", **{"Sec-Fetch-Site": "none"})
    policy = page.headers["content-security-policy"]
    assert f"connect-src {world.url}/notebook/ada/ " in policy
    assert "allow-popups" not in policy
    assert "'self'" not in policy.replace("frame-ancestors 'self'", "")
    assert "set-cookie" not in page.headers
    assert "access_token" not in page.text
    (secret,) = [file.read_text() for file in world.sockets.glob("nb-*/token")]
    logs = [file.read_text() for file in (world.settings.home / "logs").glob("notebook-*.log")]
    for text in (page.text, str(page.headers), (world.settings.home / "keeper.log").read_text(), *logs):
        assert secret not in text
        assert ada.cookie.partition("=")[2] not in text
    started = [one.cmdline() for one in world.processes()]
    assert started
    assert not any(secret in " ".join(one) for one in started)


def test_a9_an_expired_session_ends_also_what_is_open(world: World) -> None:
    world.start()
    (world.files() / "x.py").write_text(HEAD)
    ada = world.visit("ada")
    with ada.socket(WS) as open_one:
        open_one.recv(timeout=60)
        world.life.clock.advance(days=40)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                open_one.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert ada.get("/notebook/ada/health").status_code == 401
    assert _refused(ada)
    world.life.clock.advance(days=-40)


def test_a9_a_disabled_account_loses_its_notebook(world: World) -> None:
    zoe = world.life.add_person("zoe", None)
    world.give_role("zoe")
    world.start("zoe")
    (world.files("zoe") / "x.py").write_text(HEAD)
    browser = world.visit("zoe")
    with browser.socket("/notebook/zoe/ws?session_id=s_z&file=x.py") as open_one:
        open_one.recv(timeout=60)
        disable_person(world.life.ctx, world.life.as_("adam"), "zoe")
        with pytest.raises(ConnectionClosed):
            while True:
                open_one.recv(timeout=60)
    assert browser.get("/notebook/zoe/health").status_code == 401
    assert zoe.person is not None
    wait_until(lambda: world.status("zoe").state is NotebookState.STOPPED, 60)
    assert world.status("zoe").ended == "the account of zoe is disabled"
