"""Finding 21: what strangers send costs little memory, time and few connections."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from drls_dagster.serving import connections
from lifecycle.app.kit import bodies
from lifecycle.app.kit.rest import door
from tests.lifecycle.life import Life
from tests.security.served.server import PASSWORD, Web, served, wait_for

MB = 1024 * 1024


def stream(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield b"x" * MB


def memory() -> int:
    gc.collect()
    return psutil.Process(os.getpid()).memory_info().rss


def answered(send: object) -> int:
    """The status, or 0 where the server cut the connection off."""
    try:
        return send().status_code  # type: ignore[operator]
    except httpx.TransportError:
        return 0


_SLOW = ("/api/pipeline-defs/import", "/sign-in", "/")


@pytest.mark.parametrize(
    "path", ["/api/session", "/api/pipeline-defs", *(pytest.param(path, marks=pytest.mark.slow) for path in _SLOW)]
)
@pytest.mark.parametrize("says_its_length", [True, False])
def test_300_mb_of_a_stranger_are_neither_kept_nor_awaited(web: Web, path: str, says_its_length: bool) -> None:
    """Failed on 0.1.0: 300 MB to /api/session cost 600 MB for good."""
    before = memory()
    headers = {"Content-Length": str(300 * MB)} if says_its_length else {}
    headers["Content-Type"] = "application/json"
    with web.client() as client:
        assert answered(lambda: client.post(path, content=stream(300), headers=headers)) in {0, 401, 413}
    assert memory() - before < 60 * MB
    with web.client() as client:
        assert client.get("/api/health").status_code == 200


@pytest.mark.parametrize(("path", "size"), [("/api/session", 100_000), ("/sign-in", 100_000), ("/api/teams", 100_000)])
def test_who_sends_a_little_too_much_reads_why(web: Web, path: str, size: int) -> None:
    with web.client() as client:
        for content in (b"x" * size, iter([b"x" * size])):
            answer = client.post(path, content=content)
            assert answer.status_code == (401 if path == "/api/teams" else 413)
            assert answer.headers["connection"] == "close"
            assert answer.headers["cache-control"] == "no-store"


def test_a_signed_in_person_sends_a_pipeline_and_not_more_than_that(web: Web) -> None:
    with web.client() as client:
        csrf = client.post("/api/session", json={"account": "ada", "password": PASSWORD}).json()["csrf"]
        headers = {"X-CSRF-Token": csrf, "Content-Type": "application/json"}
        text = json.dumps({"definition": "a: 1\n" + "#" * 1_500_000})
        assert client.post("/api/pipeline-defs", content=text, headers=headers).status_code == 422
        answer = client.post("/api/pipeline-defs", content=b" " * 12 * MB, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        answer = client.post("/api/teams", content=b" " * 100_000, headers=headers)
        assert answer.status_code == 413


def test_a_body_that_does_not_come_is_not_awaited_for_long(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed on 0.1.0."""
    monkeypatch.setattr(door, "SECONDS", 0.5)
    with served(life) as web, web.connect() as one:
        one.sendall(b"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
        assert b" 408 " in one.recv(4096)


def test_half_open_connections_are_closed_and_keep_nobody_out(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed on 0.1.0: 900 of them stayed for a minute, for as long as each sent a byte a second."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 2.0)
    with served(life) as web, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(web.connect()) for _ in range(300)]
        for one in slow:
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        stop = threading.Event()
        dripping = threading.Thread(target=_drip, args=(slow, stop), daemon=True)
        dripping.start()
        try:
            with web.client() as client:
                assert client.get("/api/health").status_code == 200
            wait_for(lambda: web.open_connections == 0)
        finally:
            stop.set()
            dripping.join(10)
        assert b" 408 " in slow[0].recv(4096)


def _drip(slow: list[socket.socket], stop: threading.Event) -> None:
    """A byte at a time, as slowloris does."""
    while not stop.wait(0.2):
        for one in slow:
            with contextlib.suppress(OSError):
                one.sendall(b"x")


def test_a_second_request_that_does_not_arrive_is_half_open_too(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)
    with served(life) as web, web.connect() as one:
        one.sendall(b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b" 200 " in one.recv(4096)
        one.sendall(b"GET /api/health HTTP/1.1\r\nHost")
        wait_for(lambda: web.open_connections == 0)


def test_where_connections_run_out_those_without_a_request_go_first(life: Life) -> None:
    with served(life, most=20) as web, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(web.connect()) for _ in range(40)]
        for one in idle:
            with contextlib.suppress(OSError):
                one.sendall(b"GET / HTTP/1.1\r\n")
        with web.client() as client:
            assert client.get("/api/health").status_code == 200
        assert web.open_connections <= 10


def test_headers_without_end_are_refused(web: Web) -> None:
    """Failed on 0.1.0: they were kept for as long as they came."""
    before = memory()
    with web.connect() as one:
        one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with contextlib.suppress(OSError):
            for number in range(2_000):
                one.sendall(b"X-%d: %s\r\n" % (number, b"x" * 10_000))
        wait_for(lambda: web.open_connections == 0)
    assert memory() - before < 20 * MB


def test_an_answer_that_nobody_reads_is_given_up(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.5)
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.2)
    with served(life) as web, web.connect() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        page = b"GET /static/x/htmx-2.0.11.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with contextlib.suppress(OSError):
            for _ in range(400):
                one.sendall(page)
        wait_for(lambda: web.open_connections == 0)


def test_many_query_parameters_cost_no_time(web: Web) -> None:
    """Failed on 0.1.0: each name was counted once for each name."""
    names = "&".join(f"a{number}" for number in range(8_000))
    started = time.process_time()
    with web.client() as client:
        assert client.get(f"/api/health?{names}").status_code == 200
        assert client.get(f"/api/health?{names}&a7").status_code == 422
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/health", 200), ("GET", "/api/me", 401), ("GET", "/api/nothing", 404), ("POST", "/api/session", 422),
        ("GET", "/api/openapi.json", 200), ("DELETE", "/api/session", 204), ("GET", "/api/session/oidc", 404),
    ],
)  # fmt: skip
def test_no_answer_of_the_api_is_kept_by_caches(web: Web, method: str, path: str, status: int) -> None:
    """Failed on 0.1.0."""
    with web.client() as client:
        answer = client.request(method, path, json={} if method == "POST" else None)
    assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")


@pytest.mark.parametrize("text", ["[" * 60_000, '{"account":' * 5_000, '{"account": ' + "9" * 60_000 + "}"])
def test_deep_or_long_json_of_a_stranger_is_no_failure(web: Web, text: str) -> None:
    headers = {"Content-Type": "application/json"}
    with web.client() as client:
        assert client.post("/api/session", content=text, headers=headers).status_code in {400, 422}


def test_the_limits_are_of_this_size() -> None:
    """What the documentation says."""
    assert (bodies.SMALL, connections.HEADER_SECONDS, connections.MAX_HEADERS) == (64 * 1024, 10.0, 64 * 1024)
