"""Finding 9: whatever path Dagster's own router takes for GraphQL, or for storing something, the door judged as such."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import pytest
from graphql import GraphQLSchema
from starlette.routing import Match, Mount, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from drls_dagster.dagster_private.webserver import DagsterWebserver
from drls_dagster.up.web.guard import DagsterGuard
from drls_dagster.up.web.paths import ROUTES, Kind, kind_of
from drls_dagster.up.web.touched import Finder
from drls_dagster.up.web.visitor import Visitor
from lifecycle.domain.people import Actor, WayIn
from lifecycle.domain.roles import Role

PREFIX = "/dagster"
RUNNER = asyncio.Runner()
MANY = 1000
LAUNCH = 'mutation{launchRun(executionParams:{selector:{repositoryName:"r",repositoryLocationName:"l"}}){__typename}}'
# The one of the finding, and its relatives.
KNOWN = (
    b"/dagster//graphql%0A",
    b"/dagster//graphql",
    b"/dagster/graphql%0A",
    b"/dagster/graphql%0a/",
    b"/dagster/./graphql",
    b"/dagster/x/../graphql",
    b"/dagster/%67raphql",
    b"/dagster%2Fgraphql",
    b"/dagster/%2E/graphql",
    b"/dagster/graphql/",
    b"/dagster/graphql//",
    b"/dagster/graphql%00",
    b"/dagster/graphql%20",
    b"/dagster/graphql;a=b",
    b"/dagster/GraphQL",
    b"/dagster/graphql%E2%80%A8",
    b"/dagster/graphql%C2%85",
    b"/dagster\\graphql",
    b"/dagster/%5Cgraphql",
    b"/dagster/%2567raphql",
    b"/dagster/graphql%ff",
    b"//dagster/graphql",
    b"/dagster//report_asset_check/a",
    b"/dagster/report_asset_materialization/a%0A",
    b"/dagster/report_asset_materialization%2Fa",
)


class Recorder:
    """Stands where Dagster is, with Dagster's real routes: which of them would have answered?"""

    def __init__(self) -> None:
        self.server = DagsterWebserver(None, PREFIX)  # pyright: ignore[reportArgumentType]
        self.routes = self.server.create_asgi_app().routes
        self.reached: list[tuple[str, Scope]] = []
        self.judge = Asked()

    is_ready = True

    @property
    def schema(self) -> GraphQLSchema:
        return self.server._graphene_schema.graphql_schema

    def finder(self) -> Finder | None:
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached.append((self.endpoint(scope), scope))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    def endpoint(self, scope: Scope) -> str:
        """The name of Dagster's function that this request comes to, as Starlette's router chooses it."""
        routes, found = self.routes, dict(scope)
        while True:
            matches = [(route.matches(found), route) for route in routes]
            full = next(((child, route) for (match, child), route in matches if match is Match.FULL), None)
            if full is None:
                return "405" if any(match is Match.PARTIAL for (match, _), _ in matches) else "nothing"
            child, route = full
            found.update(child)
            if not (isinstance(route, Mount) and route.routes):
                return getattr(found.get("endpoint"), "__name__", "static")
            routes = route.routes


class Asked:
    """A judge that lets everything through and remembers that it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def mutations(self, *_: Any) -> Any:
        self.asked += 1
        return []

    report = mutations

    def note(self, *_: Any) -> None:
        return

    def admitted(self, *_: Any) -> None:
        return

    def sees(self, *_: Any) -> bool:
        return True


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    yield Recorder()
    RUNNER.close()


def visitor(*_: object) -> Visitor:
    actor = Actor(person=1, name="adam", way_in=WayIn.REST)
    return Visitor(actor, True, True, by_cookie=False, wide=Role.ADMIN, highest=Role.ADMIN)


def narrow(*_: object) -> Visitor:
    """Somebody with a role on one pipeline."""
    return replace(visitor(), wide=None)


def ask(
    recorder: Recorder,
    method: str,
    raw: bytes,
    query: str = "",
    kind: str = "http",
    who: Callable[..., Visitor] = visitor,
    **options: bool,
) -> int:
    """The status with which the door answers, 0 where it let the request through."""
    answers: list[Message] = []
    path = unquote(raw.decode("ascii"), errors="replace")
    scope: Scope = {
        "type": kind,
        "method": method,
        "path": path,
        "raw_path": raw,
        "query_string": quote(query, safe="=&").encode(),
        "headers": [(b"host", b"localhost"), (b"accept", b"*/*"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 3000),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
        "subprotocols": [],
    }
    if kind == "websocket":
        del scope["method"]

    async def receive() -> Message:
        if kind == "websocket":
            return {"type": "websocket.connect"}
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)

    recorder.reached.clear()
    recorder.judge = Asked()
    guard = DagsterGuard(recorder, PREFIX, who, recorder.judge, **options)  # pyright: ignore[reportArgumentType]
    RUNNER.run(guard(scope, receive, send))
    if recorder.reached:
        return 0
    return int(answers[0].get("status") or answers[0].get("code", 0))


def hostile(count: int) -> Iterator[bytes]:
    """Paths around the routes that matter, with what routers read in two ways put anywhere into them."""
    chance = random.Random(9)
    routes = ["graphql", "report_asset_check/a", "report_asset_materialization/a", "report_asset_observation/a/b"]
    salt = [
        b"/",
        b"//",
        b"%2F",
        b"%2f",
        b"%0A",
        b"%0D",
        b"%00",
        b"%09",
        b"%20",
        b".",
        b"/.",
        b"/..",
        b"%2e",
        b";",
        b"%5C",
    ]
    salt += [b"\\", b"%C2%85", b"%E2%80%A8", b"%EF%BB%BF", b"%c0%af", b"%25", b"%2", b"x", b"?", b"#", b"%ef%bc%8f"]
    for _ in range(count):
        path = bytearray(f"{PREFIX}/{chance.choice(routes)}".encode())
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(path))
            path[at:at] = chance.choice(salt)
        if chance.random() < 0.3:
            at = chance.randrange(1, len(path))
            path[at : at + 1] = b"%%%02X" % path[at]
        yield bytes(path)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a5_a_safe_request_never_carries_graphql(recorder: Recorder, method: str) -> None:
    """Finding 9; failed on 0.1.0: `GET /dagster//graphql%0A?query=mutation{…}` came to Dagster."""
    for raw in [*KNOWN, *hostile(MANY), b"/dagster/graphql"]:
        refused = ask(recorder, method, raw, f"query={LAUNCH}")
        for endpoint, scope in recorder.reached:
            assert not (endpoint == "graphql_http_endpoint" and scope["query_string"]), raw
            assert not endpoint.startswith("report_"), raw
        if raw in (b"/dagster/graphql", b"/dagster/graphql/"):
            assert refused == 405


def test_a5_what_changes_something_was_judged_whatever_the_path(recorder: Recorder) -> None:
    """Finding 9; failed on 0.1.0 for paths that only Dagster's router took for what they are."""
    for raw in [*KNOWN, *hostile(MANY)]:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            refused = ask(recorder, method, raw)
            for endpoint, scope in recorder.reached:
                # The door read a body that is no GraphQL, so only a report can have come this far.
                assert endpoint.startswith("report_"), (method, raw)
                assert kind_of(scope["path"], PREFIX) is Kind.REPORT
                assert recorder.judge.asked == 1
            assert recorder.reached or refused in (400, 405), (method, raw, refused)


def test_a5_a_subscription_is_only_where_the_door_reads_it(recorder: Recorder) -> None:
    for raw in [*KNOWN, *hostile(MANY)]:
        ask(recorder, "", raw, kind="websocket")
        for endpoint, scope in recorder.reached:
            assert endpoint == "graphql_ws_endpoint", raw
            assert scope["path"] == f"{PREFIX}/graphql"


def test_dagster_gets_one_spelling_of_a_path(recorder: Recorder) -> None:
    for raw in [*KNOWN, *hostile(MANY)]:
        ask(recorder, "GET", raw)
        for _, scope in recorder.reached:
            path = scope["path"]
            assert scope["raw_path"] == quote(path).encode()
            assert path == f"{PREFIX}/" or not path.endswith("/")
            assert not any(ord(sign) < 32 for sign in path)
            assert "//" not in path
            assert not {".", "..", ""} & set(path.strip("/").split("/"))


@pytest.mark.parametrize(
    "path",
    [
        "/dagster",
        "/dagster/",
        "/dagster/locations/production/jobs/flights_daily",
        "/dagster/runs/0c5c0dbf-8c2c-4f0e-9b2e-000000000000",
        "/dagster/assets/production/lake/flights/daily_delays",
        "/dagster/locations/__repository__%40production/jobs/a",
        "/dagster/runs/b/%C3%BC",
        "/dagster/_next/static/chunks/2093.21106d17da884243.js",
        "/dagster/locations/x@y/sensors/production_promotions",
    ],
)
def test_pages_of_dagster_still_open(recorder: Recorder, path: str) -> None:
    assert ask(recorder, "GET", path.encode()) == 0
    assert recorder.reached[0][0] != "nothing"


def test_a_role_on_one_pipeline_opens_no_page_unless_somebody_chose_that(recorder: Recorder) -> None:
    """Finding 10; 0.1.0 let it through, by reading its guard: every role saw all of Dagster."""
    for path in (b"/dagster/", b"/dagster/runs", b"/dagster/graphql", b"/dagster/notebook"):
        assert ask(recorder, "GET", path) == 0
        assert ask(recorder, "GET", path, who=narrow, open_to_all=True) == 0
        assert ask(recorder, "GET", path, who=narrow) == 403


def test_every_route_of_dagster_is_known(recorder: Recorder) -> None:
    """A release of Dagster with another route fails here."""
    (mount,) = [route for route in recorder.routes if isinstance(route, Mount)]
    found: dict[str, Kind] = {}
    for route in mount.routes:
        if isinstance(route, Route | WebSocketRoute):
            endpoint = getattr(route.endpoint, "__name__", "")
            first = route.path.strip("/").split("/")[0]
            if isinstance(route, Route) and (route.methods or set()) - {"GET", "HEAD"}:
                expected = Kind.GRAPHQL if first == "graphql" else Kind.REPORT
            elif endpoint.startswith("graphql"):
                expected = Kind.GRAPHQL
            elif endpoint.startswith("download_"):
                expected = Kind.RUN_FILE
            else:
                expected = Kind.PAGE
            found[first] = expected
    known = {first: ROUTES.get(first, Kind.PAGE) for first in found}
    assert known == found
    assert ROUTES.keys() <= found.keys()
    assert {Kind.GRAPHQL, Kind.REPORT, Kind.RUN_FILE} <= set(found.values())
