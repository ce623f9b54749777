"""Finding 12: what somebody can do with a token that is not theirs, over HTTP."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import httpx
import pytest

from lifecycle.domain.credentials import TokenScope
from tests.lifecycle.life import Life
from tests.security.served.server import PASSWORD, Web

FRESH = "a password of the thief"


@contextmanager
def signed_in(web: Web, account: str) -> Generator[httpx.Client]:
    with web.client() as client:
        csrf = client.post("/api/session", json={"account": account, "password": PASSWORD}).json()["csrf"]
        client.headers["X-CSRF-Token"] = csrf
        yield client


def issued(owner: httpx.Client, *scopes: str, days: int = 30) -> tuple[int, dict[str, str]]:
    answer = owner.post("/api/me/tokens", json={"name": "ci", "scopes": scopes, "days": days}).json()
    return answer["id"], {"Authorization": f"Bearer {answer['secret']}"}


def enters(web: Web, account: str, password: str) -> bool:
    with web.client() as client:
        return client.post("/api/session", json={"account": account, "password": password}).status_code == 200


@pytest.mark.parametrize("scopes", [("read", "write"), tuple(one.value for one in TokenScope)])
@pytest.mark.parametrize("old", [None, PASSWORD])
def test_a_token_changes_no_password(web: Web, scopes: tuple[str, ...], old: str | None) -> None:
    """Failed on 0.1.0: it did, and signed in with every scope."""
    with signed_in(web, "lea") as lea:
        _, stolen = issued(lea, *scopes)
        signed = lea.post("/api/me/signed-token").json()["token"]
    with web.client() as thief:
        for shown in (stolen, {"Authorization": f"Bearer {signed}"}):
            answer = thief.put("/api/me/password", json={"password": FRESH, "old": old}, headers=shown)
            assert answer.status_code in {401, 403}
            assert thief.put("/api/people/lea/password", json={"password": FRESH}, headers=shown).status_code in {
                401,
                403,
            }
    assert enters(web, "lea", PASSWORD)
    assert not enters(web, "lea", FRESH)


def test_an_admins_token_sets_not_its_own_password(web: Web) -> None:
    """Failed on 0.1.0: a token without the scope to approve became a session with it."""
    with signed_in(web, "adam") as adam:
        _, stolen = issued(adam, "read", "write", "admin")
    with web.client() as thief:
        assert thief.put("/api/people/adam/password", json={"password": FRESH}, headers=stolen).status_code == 403
        body = {"subject": "https://id.example.org|thief"}
        assert thief.put("/api/people/adam/subject", json=body, headers=stolen).status_code == 403
    assert not enters(web, "adam", FRESH)


def test_a_session_that_was_stolen_changes_no_password_without_the_old_one(web: Web) -> None:
    """Failed on 0.1.0."""
    with signed_in(web, "lea") as thief:
        for body in ({"password": FRESH}, {"password": FRESH, "old": "wrong wrong wrong"}):
            assert thief.put("/api/me/password", json=body).status_code == 401
        assert thief.put("/api/me/password", json={"password": FRESH, "old": PASSWORD}).status_code == 204
        assert thief.get("/api/me").status_code == 401
    assert enters(web, "lea", FRESH)


@pytest.mark.parametrize("made_with", ["token", "session"])
def test_a_signed_token_ends_with_what_it_was_made_with(web: Web, made_with: str) -> None:
    """Failed on 0.1.0: it outlived both."""
    with signed_in(web, "lea") as lea:
        token_id, shown = issued(lea, "read", "write")
        if made_with == "token":
            with web.client() as program:
                signed = program.post("/api/me/signed-token", headers=shown).json()["token"]
        else:
            signed = lea.post("/api/me/signed-token").json()["token"]
        bearer = {"Authorization": f"Bearer {signed}"}
        with web.client() as program:
            assert program.get("/api/me", headers=bearer).status_code == 200
            if made_with == "token":
                assert lea.delete(f"/api/me/tokens/{token_id}").status_code == 200
            else:
                lea.delete("/api/session")
            assert program.get("/api/me", headers=bearer).status_code == 401


def test_a_signed_token_renews_nothing(web: Web) -> None:
    """Failed on 0.1.0: it renewed itself for ever, and issued a token for a year."""
    with signed_in(web, "lea") as lea, web.client() as program:
        answer = lea.post("/api/me/signed-token").json()
        assert 0 < answer["expires_in"] <= 900
        bearer = {"Authorization": f"Bearer {answer['token']}"}
        assert program.post("/api/me/signed-token", headers=bearer).status_code == 403
        body = {"name": "x", "scopes": ["read"], "days": 366}
        assert program.post("/api/me/tokens", json=body, headers=bearer).status_code == 403


def test_what_a_stolen_token_issued_ends_with_it(web: Web, life: Life) -> None:
    """Failed on 0.1.0: it left tokens behind that outlived it by a year."""
    with signed_in(web, "lea") as lea, web.client() as thief:
        token_id, shown = issued(lea, "read", "write", days=1)
        for _ in range(3):
            body = {"name": "x", "scopes": ["read", "write"], "days": 366}
            left = thief.post("/api/me/tokens", json=body, headers=shown).json()
            shown = {"Authorization": f"Bearer {left['secret']}"}
        assert thief.get("/api/me", headers=shown).status_code == 200
        lea.delete(f"/api/me/tokens/{token_id}")
        assert thief.get("/api/me", headers=shown).status_code == 401
    with life.store.read() as view:
        assert not [one for one in view.people.tokens(life.person("lea")) if one.name == "x"]
