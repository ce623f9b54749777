"""What holds for every page: who gets in, what a form must carry, and what browsers are told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi import APIRouter

from lifecycle.app.kit.csrf import FIELD, is_own, masked
from lifecycle.app.kit.guard import safe_back
from lifecycle.app.kit.listed import check_listed
from lifecycle.app.kit.request import COOKIE
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.roles import Role
from lifecycle.usecases.tokens import issue
from tests.lifecycle.app.sites import PAGES
from tests.lifecycle.app.visit import PASSWORD, Visit
from tests.lifecycle.life import SETUP, Life

Open = Callable[[str | None], Visit]
VALUES = {
    "name": "flights", "number": "1", "other": "1", "before": "1", "after": "1", "target": "uat", "promotion_id": "1",
    "environment": "uat", "hold_id": "1", "drift_id": "1", "token_id": "9", "person": "leo", "team": "risk",
    "grant_id": "9", "digest": "x", "table": "flights.daily", "agent": "claude",
}  # fmt: skip
PEOPLE = {Role.VIEWER: "vic", Role.DATA_ENGINEER: "ada", Role.LEAD: "lea", Role.ADMIN: "adam"}


def filled(path: str) -> str:
    for name, value in VALUES.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, f"give {path} a value in VALUES"
    return path


def test_who_is_signed_in_stays_it_where_there_is_no_page(visit: Open) -> None:
    answer = visit("ada").get("/nope")
    assert answer.status_code == 404
    assert "ada</summary>" in answer.text
    assert 'href="/">Home' in answer.text
    assert "Sign in" not in answer.text
    for cookie in ({}, {COOKIE: "drls_session_planted"}):
        answer = visit(None).get("/nope", headers={"Cookie": f"{COOKIE}={cookie[COOKIE]}"} if cookie else {})
        assert answer.status_code == 404
        assert 'href="/">Sign in' in answer.text


def test_nobody_is_led_to_the_sign_in_page_and_back(visit: Open) -> None:
    nobody = visit(None)
    for (method, path), need in PAGES.items():
        if need.signed_in:
            answer = nobody.client.request(method, filled(path))
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in"), path
    assert nobody.get("/badge?tab=x").headers["location"] == "/sign-in?back=%2Fbadge%3Ftab%3Dx"


def test_each_page_asks_for_its_role(visit: Open, life: Life) -> None:
    life.add_person("nobody", None)
    visitors = {role: visit(name) for role, name in PEOPLE.items()} | {None: visit("nobody")}
    for (method, path), need in PAGES.items():
        if need.role is None:
            continue
        for role, visitor in visitors.items():
            if role is None or not role.includes(need.role):
                answer = visitor.client.request(method, filled(path), data={FIELD: masked(visitor.session)})
                assert answer.status_code == 403, (method, path, role)


def test_who_has_no_role_any_more_still_has_what_is_their_own(visit: Open, life: Life) -> None:
    eve, adam = visit("eve"), visit("adam")
    with life.store.read() as view:
        grant = view.people.grants(life.person("eve"))[0]
    assert adam.post(f"/settings/grants/{grant.id}/revoke").status_code == 303
    # A part of an open page makes the whole of it load again, which says what is missing and offers what is left.
    part = eve.get("/badge", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-refresh"], part.text) == (403, "true", "")
    told = eve.get("/")
    assert told.status_code == 403
    assert "ask an Admin for a grant" in told.text
    assert 'href="/pipelines"' not in told.text
    assert 'href="/profile">Your profile' in told.text
    assert "data-live" not in told.text
    assert "you have no role" in eve.page("/profile")
    new = "another long password"
    assert eve.post("/profile/password", old=PASSWORD, password=new, again=new).status_code == 303
    assert eve.post("/sign-out").headers["location"] == "/sign-in"
    assert eve.get("/profile").status_code == 303


def test_a_form_without_the_page_s_own_field_changes_nothing(visit: Open, life: Life) -> None:
    admin = visit("adam")
    with life.store.read() as view:
        before = view.log.head().sequence
    foreign = masked("drls_session_of_somebody_else")
    for (method, path), need in PAGES.items():
        if method == "GET" or not need.signed_in:
            continue
        for sent in ({}, {FIELD: ""}, {FIELD: "zz"}, {FIELD: "00"}, {FIELD: foreign}):
            assert admin.client.post(filled(path), data=sent).status_code == 403, path
        good = {FIELD: masked(admin.session)}
        for origin in ("https://evil.example", "null"):
            answer = admin.client.post(filled(path), data=good, headers={"Origin": origin})
            assert answer.status_code == 403, path
    with life.store.read() as view:
        assert view.log.head().sequence == before


def test_a_change_is_never_a_get(visit: Open, life: Life) -> None:
    admin = visit("adam")
    with life.store.read() as view:
        before = view.log.head().sequence
    for method, path in PAGES:
        if method == "GET":
            admin.get(filled(path))
    with life.store.read() as view:
        assert view.log.head().sequence == before


def test_every_answer_keeps_other_sites_and_foreign_scripts_out(visit: Open) -> None:
    admin = visit("adam")
    for path in ("/", "/nope", "/sign-in", "/static/x/app.css", "/static/x/..%2f..%2fsite.py", "/static/x/secret"):
        headers = admin.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    assert admin.get("/").headers["cache-control"] == "no-store"
    assert "immutable" in admin.get("/static/x/app.css").headers["cache-control"]
    assert admin.get("/static/x/..%2f..%2fsite.py").status_code == 404


def test_a_sign_in_is_a_new_session_whatever_cookie_came_along(visit: Open, life: Life) -> None:
    visitor = visit("ada")
    first = visitor.session
    visitor.client.cookies.clear()
    visitor.client.cookies.set(COOKIE, "drls_session_planted")
    answer = visitor.client.post("/sign-in", data={"account": "ada", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "drls_session_planted" not in cookie
    assert first not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_signing_out_ends_the_session_in_the_store(visit: Open) -> None:
    visitor = visit("ada")
    secret = visitor.session
    assert visitor.post("/sign-out").headers["location"] == "/sign-in"
    visitor.client.cookies.set(COOKIE, secret)
    assert visitor.get("/").status_code == 303


def test_a_one_time_link_signs_in_once(visit: Open, life: Life) -> None:
    with life.store.write(SETUP, "link") as unit:
        person = unit.people.named("vic")
        secret = issue(unit, person, TokenKind.LINK, "link", scopes=tuple(TokenScope), life=timedelta(hours=1)).secret
    nobody = visit(None)
    assert nobody.client.post("/sign-in/link", data={"secret": secret}).status_code == 303
    assert "vic</summary>" in nobody.page("/")
    again = visit(None).client.post("/sign-in/link", data={"secret": secret})
    assert again.status_code == 401
    assert "already been used" in again.text
    # Who loads the answer's address again has no link any more, and comes to the form.
    answer = visit(None).get("/sign-in/link")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "evil",
        "/\tevil", "", "/a\r\nSet-Cookie: x=y", "/\\/evil.example", "http:/evil.example",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(visit: Open, path: str) -> None:
    assert safe_back(path) == "/"
    visitor = visit("ada")
    answer = visitor.client.post("/sign-in", data={"account": "ada", "password": PASSWORD, "back": path})
    assert answer.headers["location"] == "/"
    assert visitor.get("/sign-in", params={"back": path}).headers["location"] == "/"


def test_a_link_from_another_site_opens_the_page(visit: Open) -> None:
    """The strict cookie stays behind on such a request; the page that comes then asks by itself."""
    answer = visit(None).get("/", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0"' in answer.text


def test_too_many_wrong_passwords_lock_and_say_so(visit: Open) -> None:
    nobody = visit(None)
    answers = [nobody.client.post("/sign-in", data={"account": "ada", "password": "wrong"}) for _ in range(6)]
    assert [one.status_code for one in answers] == [401] * 5 + [429]
    assert "wrong account name or password" in answers[0].text
    assert "too many wrong attempts" in answers[-1].text


def test_the_csrf_field_is_different_each_time_and_bound_to_its_session() -> None:
    one, two = masked("a"), masked("a")
    assert one != two
    assert is_own("a", one)
    assert is_own("a", two)
    assert not is_own("b", one)
    assert not is_own("a", one[:-2])
    assert not is_own("a", None)


def test_a_page_that_the_table_does_not_name_stops_the_start() -> None:
    router = APIRouter()
    router.add_api_route("/secret", lambda: None)
    with pytest.raises(RuntimeError, match="/secret"):
        check_listed([router], PAGES, "new")


def test_a_body_that_is_too_large_is_refused(visit: Open) -> None:
    length = {"Content-Length": str(7 * 1024 * 1024)}
    client = visit("ada").client
    part = client.post("/pipelines/import", content=b"x", headers={**length, "HX-Request": "true"})
    page = client.post("/pipelines/import", content=b"x", headers=length)
    for answer in (part, page):
        assert answer.status_code == 413
        assert "the file is too large: at most 6 MB may be sent" in answer.text
        assert answer.headers["X-Frame-Options"] == "DENY"
    assert part.text.lstrip().startswith('<div class="told bad" role="alert">')
    assert "ada</summary>" in page.text
