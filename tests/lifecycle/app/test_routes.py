"""The generated matrix: every route × role × credential, and the pages' own protections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from lifecycle.app.home import api as live
from lifecycle.app.kit.listed import check_listed
from lifecycle.app.kit.request import COOKIE, csrf_of
from lifecycle.app.site import create_site
from lifecycle.audit.chain import Entry
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.store.store import Store
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.lifecycle.app.sites import TABLE
from tests.lifecycle.life import QA, SETUP, UAT, Life

PASSWORD = "a long enough password"
WHO = {None: "nobody", Role.VIEWER: "vic", Role.DATA_ENGINEER: "ada", Role.LEAD: "lea", Role.ADMIN: "adam"}
VALUES = {
    "name": "flights", "number": "1", "other": "1", "promotion_id": "2", "environment": "uat", "hold_id": "1",
    "drift_id": "1", "token_id": "999", "person": "leo", "team": "risk", "grant_id": "999",
}  # fmt: skip
QUERY = {
    "/api/environments/{environment}/may": {"pipeline": "flights", "digest": "x"},
    "/api/events": {"seconds": 0},
}


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def app(life: Life) -> FastAPI:
    life.add_person("nobody", None)
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.ask(version, UAT)
    return create_site(life.ctx).api


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


# A token does neither, whatever its scopes: see test_passwords and tests/security.
_WITH_A_SESSION = {"/api/me/password"}


def token(life: Life, role: Role | None, *scopes: TokenScope) -> str:
    name = WHO[role]
    from lifecycle.domain.credentials import TokenKind
    from lifecycle.usecases.tokens import issue

    with life.store.write(SETUP, "token") as unit:
        person = unit.people.named(name)
        given = scopes or tuple(TokenScope)
        return issue(unit, person, TokenKind.PERSONAL, "test", scopes=given, life=timedelta(days=1)).secret


def call(client: TestClient, method: str, path: str, **options: Any) -> int:
    for name, value in VALUES.items():
        path = path.replace("{" + name + "}", value)
    return client.request(method, path, json={} if method in {"POST", "PUT"} else None, **options).status_code


def params(path: str) -> dict[str, Any]:
    return {"params": QUERY.get(path, {})}


def test_every_route_refuses_who_shows_nothing_or_something_wrong(client: TestClient, life: Life) -> None:
    expired = token(life, Role.ADMIN)
    life.clock.advance(days=2)
    wrong: list[dict[str, Any]] = [
        {}, {"headers": {"Authorization": "Bearer drls_personal_wrong"}}, {"headers": {"Authorization": "Bearer a.b.c"}},
        {"headers": {"Authorization": "Basic eDp5"}}, {"headers": {"Authorization": f"Bearer {expired}"}},
        {"headers": {"Cookie": f"{COOKIE}=drls_session_wrong"}}, {"headers": {"Cookie": f"{COOKIE}={expired}"}},
    ]  # fmt: skip
    for (method, path), need in TABLE.items():
        for credential in wrong:
            if need.signed_in:
                assert call(client, method, path, **credential, **params(path)) == 401, (
                    method,
                    path,
                    credential,
                )


def test_every_route_asks_for_its_role_and_its_scope(client: TestClient, life: Life) -> None:
    tokens = {role: token(life, role) for role in WHO}
    narrow = {scope: token(life, Role.ADMIN, scope) for scope in TokenScope}
    for (method, path), need in TABLE.items():
        if need.role is None or path in _WITH_A_SESSION:
            continue
        for role, secret in tokens.items():
            # As a refused call, so that nothing changes: let in means anything but 401 and the guard's 403.
            status = call(client, method, path, headers={"Authorization": f"Bearer {secret}"}, **params(path))
            enough = role is not None and role.includes(need.role)
            if not enough:
                assert status == 403, (method, path, role)
            elif role is Role.ADMIN:
                assert status not in (401, 403, 500), (method, path, role)
        for scope, secret in narrow.items():
            if scope is not need.scope:
                status = call(client, method, path, headers={"Authorization": f"Bearer {secret}"}, **params(path))
                assert status == 403, (method, path, scope)


def signed_in(client: TestClient, life: Life, name: str = "adam") -> str:
    life.give_password(name, PASSWORD)
    answer = client.post("/api/session", json={"account": name, "password": PASSWORD})
    assert answer.status_code == 200
    assert client.cookies[COOKIE]
    return answer.json()["csrf"]


def test_a_page_changes_nothing_without_its_csrf_token_or_from_another_origin(client: TestClient, life: Life) -> None:
    csrf = signed_in(client, life)
    for method, path in TABLE:
        if TABLE[method, path].role is None or path in {"/api/me/password", "/api/people/{person}"}:
            continue
        own = {"Origin": "http://testserver", "X-CSRF-Token": csrf}
        foreign = {"Origin": "https://evil.example", "X-CSRF-Token": csrf}
        if method == "GET":
            assert call(client, method, path, headers=own, **params(path)) not in (401, 403, 500)
            continue
        assert call(client, method, path, headers={}) == 403, (method, path)
        assert call(client, method, path, headers={"X-CSRF-Token": csrf_of("other")}) == 403, (method, path)
        assert call(client, method, path, headers=foreign) == 403, (method, path)
        assert call(client, method, path, headers=own) not in (401, 403, 500), (method, path)


def test_the_session_cookie_is_for_this_site_alone(client: TestClient, life: Life) -> None:
    life.give_password("vic", PASSWORD)
    answer = client.post("/api/session", json={"account": "vic", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_foreign_page_cannot_sign_in(client: TestClient) -> None:
    headers = {"Origin": "https://evil.example"}
    answer = client.post("/api/session", json={"account": "a", "password": "b"}, headers=headers)
    assert answer.status_code == 403


def answer_nothing() -> None:
    """A route that somebody forgot to list."""


def test_an_unlisted_route_fails_at_start_up() -> None:
    router = APIRouter()
    router.add_api_route("/api/new", answer_nothing, methods=["GET"])
    with pytest.raises(RuntimeError, match="/api/new"):
        check_listed([router], TABLE, "new")


def test_what_never_was_listed_is_called_by_nobody(app: FastAPI, life: Life) -> None:
    app.add_api_route("/api/hidden", answer_nothing, methods=["GET"], include_in_schema=False)
    client = TestClient(app)
    headers = {"Authorization": f"Bearer {token(life, Role.ADMIN)}"}
    assert client.get("/api/hidden", headers=headers).status_code == 403


def test_errors_are_problem_json(client: TestClient, life: Life) -> None:
    headers = {"Authorization": f"Bearer {token(life, Role.VIEWER)}"}
    answer = client.get("/api/pipeline-defs/none", headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert client.get("/api/me").headers["www-authenticate"] == "Bearer"


class Caller:
    """A client that is somebody."""

    def __init__(self, client: TestClient, secret: str) -> None:
        self._client, self._headers = client, {"Authorization": f"Bearer {secret}"}

    def __call__(self, method: str, path: str, expect: int = 200, headers: Any = None, **options: Any) -> Any:
        answer = self._client.request(method, path, headers={**self._headers, **(headers or {})}, **options)
        assert answer.status_code == expect, answer.text
        return answer


def test_the_whole_way_over_http(client: TestClient, life: Life) -> None:
    ada, lea = (Caller(client, token(life, role)) for role in (Role.DATA_ENGINEER, Role.LEAD))
    pending = lea("GET", "/api/notifications/pending-approvals").json()["items"]
    assert ada("GET", "/api/notifications/pending-approvals").json()["items"] == []
    (request,) = pending
    path = f"/api/approvals/{request['id']}"
    etag = lea("GET", path).headers["etag"]
    ada("POST", path + "/comments", 201, json={"body": "please"})
    body = {"plan_digest": request["plan_digest"], "reason": "looks right"}
    ada("POST", path + "/approve", 403, json=body)
    lea("POST", path + "/approve", 409, json=body, headers={"If-Match": '"99"'})
    done = lea("POST", path + "/approve", json=body, headers={"If-Match": etag, "Idempotency-Key": "k1"}).json()
    assert done["state"] == "done"
    again = lea("POST", path + "/approve", json=body, headers={"If-Match": etag, "Idempotency-Key": "k1"}).json()
    assert again["state"] == "done"
    running = ada("GET", "/api/environments").json()["items"]
    assert [(one["environment"], one["approved_by"]) for one in running][-1] == ("uat", ["lea"])
    past = (life.clock.now() - timedelta(days=3)).isoformat()
    assert ada("GET", "/api/environments", params={"at": past}).json()["items"] == []


def test_l16_put_saves_a_version_only_over_the_newest(client: TestClient, life: Life) -> None:
    ada = Caller(client, token(life, Role.DATA_ENGINEER))
    first = ada("GET", "/api/pipeline-defs/flights")
    definition = {**first.json()["definition"], "description": "better"}
    headers = {"If-Match": first.headers["etag"]}
    saved = ada("PUT", "/api/pipeline-defs/flights", json={"definition": definition}, headers=headers)
    assert saved.json()["number"] == 2
    other = {**definition, "description": "other"}
    ada("PUT", "/api/pipeline-defs/flights", 409, json={"definition": other}, headers=headers)
    diff = ada("GET", "/api/pipeline-defs/flights/versions/1/diff/2").json()
    assert [one["field"] for one in diff["pipeline"]] == ["description"]
    assert ada("GET", "/api/pipeline-defs/flights/versions").json()["items"][0]["stage"] == "development"


def test_an_export_over_http_can_be_imported(client: TestClient, life: Life) -> None:
    ada = Caller(client, token(life, Role.DATA_ENGINEER))
    bundle = ada("GET", "/api/pipeline-defs/flights/versions/1/export").content
    assert ada("POST", "/api/pipeline-defs/import", 201, content=bundle).json()["number"] == 1


def test_the_stream_tells_what_happened_since(client: TestClient, life: Life) -> None:
    ada = Caller(client, token(life, Role.DATA_ENGINEER))
    answer = ada("GET", "/api/events", params={"seconds": 0}, headers={"Last-Event-ID": "0"})
    assert "event: change" in answer.text
    assert '"verb": "promotion.requested"' in answer.text
    last = ada("GET", "/api/audit/head").json()["sequence"]
    assert f"id: {last}\n" in ada("GET", "/api/events", params={"seconds": 0, "after": last - 1}).text
    assert "event: change" not in ada("GET", "/api/events", params={"seconds": 0, "after": last}).text


def test_the_stream_passes_proxies_at_once_and_says_that_it_lives(
    client: TestClient, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Caller(client, token(life, Role.DATA_ENGINEER))
    monkeypatch.setattr(live, "_BEAT_EVERY", 0.0)
    answer = ada("GET", "/api/events", params={"seconds": 0})
    assert "event: beat\ndata:\n\n" in answer.text
    assert (answer.headers["x-accel-buffering"], answer.headers["cache-control"]) == ("no", "no-store")


def test_the_stream_tells_nothing_more_to_who_was_signed_out_meanwhile(
    client: TestClient, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = Caller(client, token(life, Role.DATA_ENGINEER))
    look = live._since

    def look_when_signed_out(store: Store, who: Actor, after: int) -> tuple[list[Entry], bool]:
        with life.store.write(life.as_("adam"), "end") as unit:
            for one in unit.people.tokens(unit.people.named("ada").id):
                unit.people.end_token(one)
            unit.audit("test.ended", "person:ada")
        return look(store, who, after)

    monkeypatch.setattr(live, "_since", look_when_signed_out)
    assert "event: change" not in ada("GET", "/api/events", params={"seconds": 30, "after": 0}).text
    ada("GET", "/api/events", 401, params={"seconds": 0})


def test_a_viewer_of_one_pipeline_sees_no_other(client: TestClient, life: Life) -> None:
    from lifecycle.domain.people import ScopeKind
    from lifecycle.usecases.grants import add_grant

    add_grant(
        life.ctx,
        life.as_("adam"),
        Role.VIEWER,
        person="nobody",
        scope=ScopeKind.PIPELINE,
        scope_value="other",
    )
    nobody = Caller(client, token(life, None))
    assert nobody("GET", "/api/pipeline-defs").json()["items"] == []
    assert nobody("GET", "/api/approvals").json()["items"] == []
    nobody("GET", "/api/pipeline-defs/flights", 403)
    heard = nobody("GET", "/api/events", params={"seconds": 0, "after": 0}).text
    assert "event: change" in heard
    assert "flights" not in heard


def test_a_name_with_two_values_is_refused(client: TestClient, life: Life) -> None:
    headers = {"Authorization": f"Bearer {token(life, Role.VIEWER)}"}
    answer = client.get("/api/pipeline-defs?limit=1&limit=2", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "limit is given more than once"
