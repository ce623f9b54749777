"""Logs as JSON: one object per line, with the id of the request, and never a secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from drls_dagster.log_lines import JsonLines, saying, set_up_logging
from drls_dagster.serving.forwarded import Forwarded, networks
from drls_dagster.serving.request_ids import Identified
from drls_dagster.settings import Settings, load_settings, reload_settings

SECRET = "drls_personal_abcdefghijklmnopqrstuvwxyz"
_LOG = logging.getLogger("drls.test")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Of the process that tests run in."""
    root = logging.getLogger()
    names = ("drls", "drls.requests", "alembic", "httpx")
    before = (root.handlers[:], root.level, sys.excepthook, {name: logging.getLogger(name).level for name in names})
    yield
    root.handlers[:], sys.excepthook = before[0], before[2]
    root.setLevel(before[1])
    for name, level in before[3].items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def as_json(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DRLS_LOG__FORMAT", "json")
    monkeypatch.setenv("DRLS_METRICS__TOKEN", "env:SCRAPE")
    monkeypatch.setenv("SCRAPE", "only-prometheus-knows-this")
    monkeypatch.setenv("DRLS_LIFECYCLE__URL", "postgresql+psycopg2://drls:hunter-2-hunter@db/drls")
    return load_settings(drls_home)


@pytest.fixture
def written(as_json: Settings, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written from now on."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logging(as_json)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_line_is_one_object_also_with_an_error_in_it(written: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        _LOG.exception("it failed\nbadly: %s", "on line\u2028separators")
    (line,) = lines(written)
    assert line["level"] == "error"
    assert line["logger"] == "drls.test"
    assert line["message"] == "it failed\nbadly: on line\u2028separators"
    assert line["error"].endswith("ValueError: two\nlines")
    assert line["time"].endswith("+00:00")


def test_no_secret_is_in_a_line(written: io.StringIO) -> None:
    try:
        raise RuntimeError("password=swordfish-9")
    except RuntimeError:
        _LOG.exception("asked with %s, only-prometheus-knows-this and hunter-2-hunter", SECRET)
    text = written.getvalue()
    for secret in (SECRET, "swordfish", "only-prometheus", "hunter-2"):
        assert secret not in text
    assert "removed]" in text


def test_warnings_and_the_end_of_a_process_are_lines_too(written: io.StringIO) -> None:
    logging.getLogger("py.warnings").warning("old")
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    assert [line["level"] for line in lines(written)] == ["warning", "critical"]
    assert SECRET not in written.getvalue()


def test_a_command_speaks_to_people_unless_logs_are_json(
    drls_home: Path, as_json: Settings, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    saying(as_json, said.append)("DRLS is at http://127.0.0.1:3000")
    assert said == []
    assert [line["message"] for line in lines(written)] == ["DRLS is at http://127.0.0.1:3000"]
    monkeypatch.delenv("DRLS_LOG__FORMAT")
    saying(reload_settings(drls_home), said.append)("hello")
    assert said == ["hello"]


def app() -> ASGIApp:
    def answer(_: Request) -> PlainTextResponse:
        _LOG.info("in a thread")
        return PlainTextResponse("ok")

    return Identified(Starlette(routes=[Route("/{name}", answer)]))


def ask(asked: ASGIApp, path: str, **headers: str) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(asked, client=("10.0.0.1", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(get())


def test_what_a_request_writes_has_its_id_and_two_requests_have_two(written: io.StringIO) -> None:
    ids = [ask(app(), "/one").headers["x-request-id"], ask(app(), "/two?q=salaries").headers["x-request-id"]]
    assert ids[0] != ids[1]
    found = lines(written)
    assert [line["request_id"] for line in found] == [ids[0], ids[0], ids[1], ids[1]]
    assert (found[3]["path"], found[3]["status"], found[3]["method"]) == ("/two", 200, "GET")
    assert "salaries" not in written.getvalue()
    _LOG.info("after")
    assert "request_id" not in lines(written)[-1]


def test_only_a_trusted_proxy_names_a_request(written: io.StringIO) -> None:
    trusted, stranger = (Forwarded(app(), networks([network])) for network in ("10.0.0.0/8", "192.0.2.0/24"))
    assert ask(trusted, "/", x_request_id="proxy-1234").headers["x-request-id"] == "proxy-1234"
    assert ask(stranger, "/", x_request_id="proxy-1234").headers["x-request-id"] != "proxy-1234"
    for odd in ("short", "x" * 65, "two words here", '{"a":1}-----'):
        assert ask(trusted, "/", x_request_id=odd).headers["x-request-id"] != odd


def test_lines_for_people_have_none_for_each_request(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logging(load_settings(drls_home))
    ask(app(), "/one")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("INFO drls.test: in a thread")


def test_odd_values_do_not_break_a_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "m", None, None)
    record.told = {"path": Path("/a"), "ratio": float("inf"), "bytes": b"\xff"}
    assert "\n" not in JsonLines().format(record)
