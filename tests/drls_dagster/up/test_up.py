"""`drls up` as it runs: who gets in (A5), what it shows, and that nothing of it stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import psutil
import pytest
from websockets import ConnectionClosed, InvalidStatus, Subprotocol
from websockets.sync.client import connect

from drls_dagster.engine.processes import processes_of
from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.settings import examples_folder, load_settings
from drls_dagster.up.layout import MARK
from lifecycle.domain.environment import Environment
from lifecycle.errors import Refused
from tests.drls_dagster.up.conftest import Up, left_of
from tests.ending import unless_gone
from tests.waiting import wait_until

# What a browser of `drls up` gets, without one: it starts eleven processes, as its neighbour with a browser does.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

GRAPHQL = "/dagster/graphql"
LAUNCH = """
mutation { launchPipelineExecution(executionParams: {
  selector: {repositoryLocationName: "development", repositoryName: "__repository__", jobName: "flights_daily"},
  mode: "default" }) { __typename } }
"""
RUNS = "{ runsOrError { ... on Runs { count } } }"
FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {},
]
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def browser(up: Up) -> Iterator[httpx.Client]:
    """Signed in with the link that `drls up` printed."""
    with httpx.Client(base_url=up.url, timeout=30) as client:
        signed = client.post("/api/session/link", json={"secret": up.link}, headers={"Origin": up.url})
        assert signed.status_code == 200
        yield client


def _runs(up: Up) -> int:
    answer = httpx.post(up.url + GRAPHQL, json={"query": RUNS}, headers={"Authorization": f"Bearer {up.token}"})
    return answer.json()["data"]["runsOrError"]["count"]


def _own(up: Up) -> dict[str, str]:
    return {"Origin": up.url, "Sec-Fetch-Site": "same-origin"}


def test_a_signed_in_browser_sees_dagster_and_the_link_works_once(up: Up, browser: httpx.Client) -> None:
    page = browser.get("/dagster/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert '"/dagster"' in page.text
    assert " admin</summary>" in browser.get("/").text
    answer = browser.post(GRAPHQL, json={"query": "{ version }"}, headers=_own(up))
    assert answer.json()["data"]["version"]
    assert httpx.post(f"{up.url}/api/session/link", json={"secret": up.link}).status_code == 401


def test_a5_nobody_unknown_reaches_dagster(up: Up) -> None:
    with httpx.Client(base_url=up.url) as client:
        page = client.get("/dagster/runs", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/sign-in?back=%2Fdagster%2Fruns")
        assert client.get("/sign-in").status_code == 200
        for path in (GRAPHQL, f"{GRAPHQL}?query={{version}}", "/dagster/server_info", "/dagster/logs/x/y"):
            assert client.get(path).status_code == 401
        for path in (GRAPHQL, "/dagster/report_asset_check/a", "/dagster/report_asset_materialization/a"):
            assert client.post(path, json={"query": LAUNCH}).status_code == 401
        for header in ("Bearer wrong", "Bearer", "Basic YTpi"):
            assert client.post(GRAPHQL, json={"query": LAUNCH}, headers={"Authorization": header}).status_code == 401
        assert client.post("/push/reload/qa").status_code == 401
    assert _runs(up) == 0


@pytest.mark.parametrize("headers", FOREIGN)
def test_a5_a_foreign_page_launches_nothing_even_with_the_session(
    up: Up, browser: httpx.Client, headers: dict[str, str]
) -> None:
    asked = [
        browser.post(GRAPHQL, json={"query": LAUNCH}, headers=headers),
        browser.post(GRAPHQL, params={"query": LAUNCH}, headers=headers),
        browser.post(GRAPHQL, data={"query": LAUNCH}, params={"query": LAUNCH}, headers=headers),
        browser.post(GRAPHQL, content=LAUNCH, headers={**headers, "Content-Type": "text/plain"}),
        browser.post(GRAPHQL, content=LAUNCH, headers={**headers, "Content-Type": "application/graphql"}),
        browser.get(GRAPHQL, params={"query": LAUNCH}, headers=headers),
        browser.get(f"{GRAPHQL}/", params={"query": LAUNCH}, headers=headers),
        browser.request("PUT", GRAPHQL, json={"query": LAUNCH}, headers=headers),
        browser.post("/dagster/report_asset_check/a", json={"check_name": "x", "passed": True}, headers=headers),
    ]
    assert {answer.status_code for answer in asked} == {403}
    assert _runs(up) == 0


def test_a5_a_mutation_is_never_a_get_and_never_a_subscription(up: Up, browser: httpx.Client) -> None:
    assert browser.get(GRAPHQL, params={"query": LAUNCH}, headers=_own(up)).status_code == 405
    hidden = f"query Q {{ version }} {LAUNCH.replace('mutation', 'mutation M')}"
    sent = {"query": hidden, "operationName": "Q"}
    assert browser.get(GRAPHQL, params=sent, headers=_own(up)).status_code == 405
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert _start(up, {"Cookie": cookie, "Origin": up.url}, LAUNCH) == 1008
    assert _start(up, {"Cookie": cookie, "Origin": "http://evil.example"}, LAUNCH) == 403
    assert _start(up, {"Cookie": cookie}, LAUNCH) == 403
    assert _start(up, {"Origin": up.url}, LAUNCH) == 403
    assert _runs(up) == 0


@pytest.mark.parametrize("path", ["//graphql%0A", "//graphql", "/graphql%0A", "/x/..%2Fgraphql", "/%67raphql"])
def test_a5_a_path_with_two_readings_launches_nothing(up: Up, browser: httpx.Client, path: str) -> None:
    """Finding 9; failed on 0.1.0: an image of a foreign page launched a run."""
    answer = browser.get(httpx.URL(f"{up.url}/dagster{path}", params={"query": LAUNCH}), headers={"Accept": "image/*"})
    assert answer.status_code == 400
    assert _runs(up) == 0


def test_subscriptions_of_a_signed_in_browser_go_through(up: Up, browser: httpx.Client) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    query = 'subscription { pipelineRunLogs(runId: "none") { __typename } }'
    told = _start(up, {"Cookie": cookie, "Origin": up.url}, query)
    assert isinstance(told, dict)
    assert told["payload"]["data"]["pipelineRunLogs"]["__typename"] == "PipelineRunLogsSubscriptionFailure"


def _start(up: Up, headers: dict[str, str], query: str) -> int | dict[str, Any]:
    """The first answer to an operation; the code with which the connection was refused or closed."""
    address = f"{up.url.replace('http', 'ws')}{GRAPHQL}"
    protocols = [Subprotocol("graphql-ws")]
    try:
        with connect(address, additional_headers=headers, subprotocols=protocols) as connection:
            connection.send(json.dumps({"type": "connection_init"}))
            assert json.loads(connection.recv(timeout=30))["type"] == "connection_ack"
            connection.send(json.dumps({"id": "1", "type": "start", "payload": {"query": query}}))
            return json.loads(connection.recv(timeout=30))
    except InvalidStatus as refused:
        return refused.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a5_a_name_that_is_not_ours_is_refused_everywhere(up: Up, browser: httpx.Client, host: str) -> None:
    for path in ("/", "/sign-in", "/dagster/", "/api/health"):
        assert browser.get(path, headers={"Host": host}).status_code == 421
    sent = browser.post(GRAPHQL, json={"query": LAUNCH}, headers={"Host": host, "Origin": f"http://{host}"})
    assert sent.status_code == 421


def test_a5_dagster_cannot_be_framed_by_another_port_of_this_machine(up: Up, browser: httpx.Client) -> None:
    answer = browser.get("/dagster/")
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in answer.headers.get_list("content-security-policy")


def test_a_viewer_looks_and_changes_nothing_and_an_engineer_may(up: Up) -> None:
    for name, role in (("vic", "Viewer"), ("ada", "DataEngineer"), ("nobody", None)):
        assert up.drls("user", "add", name).returncode == 0
        assert up.drls("user", "password", name, stdin=PASSWORD).returncode == 0
        if role:
            assert up.drls("user", "grant", name, role).returncode == 0
    with _signed_in(up, "vic") as vic, _signed_in(up, "ada") as ada, _signed_in(up, "nobody") as nobody:
        assert vic.post(GRAPHQL, json={"query": "{ version }"}).status_code == 200
        refused = vic.post(GRAPHQL, json={"query": LAUNCH})
        assert refused.status_code == 403
        assert "launchPipelineExecution needs the role DataEngineer" in refused.text
        assert vic.post("/dagster/report_asset_check/a", json={"check_name": "x", "passed": True}).status_code == 403
        asked = vic.post(GRAPHQL, json={"query": "{ permissions { permission value } }"}).json()["data"]
        assert [one for one in asked["permissions"] if one["value"]] == []
        assert ada.post(GRAPHQL, json={"query": "mutation { setNuxSeen }"}).json() == {"data": {"setNuxSeen": True}}
        assert nobody.post(GRAPHQL, json={"query": "{ version }"}).status_code == 403
    (noted,) = json.loads(up.drls("audit", "log", "--verb", "dagster.changed", "--json").stdout)
    assert noted["body"] == {"what": ["setNuxSeen"]}
    assert noted["actor"]["name"] == "ada"


@contextmanager
def _signed_in(up: Up, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=up.url, headers=_own(up), timeout=30) as client:
        assert client.post("/api/session", json={"account": name, "password": PASSWORD}).status_code == 200
        yield client


def test_what_is_too_long_or_no_graphql_ends_at_the_door(up: Up, browser: httpx.Client) -> None:
    for body in ("{", "[]", '{"query": 1}', '{"query": "not graphql at all {"}'):
        headers = {**_own(up), "Content-Type": "application/json"}
        assert browser.post(GRAPHQL, content=body, headers=headers).status_code == 400
    long = json.dumps({"query": "{ version }", "variables": {"x": "y" * 5_000_000}})
    assert (
        browser.post(GRAPHQL, content=long, headers={**_own(up), "Content-Type": "application/json"}).status_code == 413
    )


def test_dagster_listens_on_no_port_of_its_own(up: Up) -> None:
    ports = {
        connection.laddr.port
        for process in processes_of(up.up_id, MARK)
        for connection in unless_gone(partial(process.net_connections, "inet"), [])
        if connection.status == psutil.CONN_LISTEN
    }
    assert ports == {up.port}
    assert (up.home / "up").stat().st_mode & 0o077 == 0


def test_status_tells_where_it_runs(up: Up) -> None:
    assert f"drls up is running at {up.url}." in up.drls("status").stdout


def test_a_promotion_is_loaded_by_a_push_and_a_refused_launch_says_why(up: Up) -> None:
    assert up.drls("pipeline", "save", str(examples_folder() / "flights" / "flights_daily.yaml")).returncode == 0
    assert up.drls("promote", "flights_daily", "--to", "qa").returncode == 0
    wait_until(lambda: "flights_daily" in _jobs(up, "qa"), 30)

    assert up.drls("stop-runs", "qa", "flights_daily", "--reason", "looking").returncode == 0
    with pytest.raises(Refused, match=r"flights_daily is stopped in QA \(looking\)"):
        DagsterOrchestrator(load_settings(up.home)).launch(Environment.QA, "flights_daily", "test")

    def loaded() -> bool:
        rows = json.loads(up.drls("status", "qa", "--json").stdout)["active"]
        return [row["drift"] for row in rows] == [[]]

    wait_until(loaded, 60)


def _jobs(up: Up, location: str) -> str:
    query = f'''{{ repositoryOrError(repositorySelector: {{
        repositoryLocationName: "{location}", repositoryName: "__repository__"
    }}) {{ ... on Repository {{ jobs {{ name }} }} }} }}'''
    headers = {"Authorization": f"Bearer {up.token}"}
    return httpx.post(up.url + GRAPHQL, json={"query": query}, headers=headers, timeout=30).text


def test_a_second_drls_up_of_the_same_home_says_so(up: Up) -> None:
    second = up.drls("up", "--port", str(up.port))
    assert second.returncode == 1
    assert f"as process {up.process.pid}: {up.url}" in second.stderr


def test_a_child_that_is_killed_is_started_again_and_told(up: Up) -> None:
    (server,) = [
        one for one in processes_of(up.up_id, MARK) if "code-server" in one.cmdline() and "uat" in one.cmdline()
    ]
    server.kill()
    wait_until(lambda: up.has_said("uat ended with -9; restarting in 1 s"), 30)
    wait_until(lambda: sum("uat is ready" in line for line in up.lines) == 2, 60)


def test_the_run_service_listens_to_its_owner_and_is_started_again(up: Up) -> None:
    place = up.home / "up" / "runs.sock"
    assert (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    (service,) = [one for one in processes_of(up.up_id, MARK) if "drls_dagster.runs.server" in one.cmdline()]
    service.kill()
    wait_until(lambda: up.has_said("run-service ended with -9; restarting in 1 s"), 30)
    wait_until(lambda: sum("run-service is ready" in line for line in up.lines) == 2, 60)


def test_kill_9_leaves_nothing_after_ten_seconds(up: Up) -> None:
    up_id = up.up_id
    # A code server that was just started again gets its inner server a moment later.
    wait_until(lambda: len(processes_of(up_id, MARK)) >= 10, 30)
    up.process.kill()
    up.process.wait(10)
    wait_until(lambda: left_of(up_id) == [], 10)
    assert list((up.home / "up").glob("*.sock")) == []
    assert "drls up is not running here" in up.drls("status").stdout
