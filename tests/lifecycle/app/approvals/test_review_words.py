"""What people write and read on a request's page: comments, names, and requests they may not see."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.domain.run import CheckResult, InputRead
from lifecycle.usecases.comment_promotion import MAX_COMMENT, comment_promotion
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.reject_promotion import reject_promotion
from tests.lifecycle.app.approvals.reviewing import Open, asked, url
from tests.lifecycle.life import QA, UAT, Life, make_spec


def test_comments_are_markdown_and_kept_as_written(visit: Open, life: Life) -> None:
    request = asked(life)
    vic = visit("vic")
    sent = {"body": "**why** [this](https://e.example)?\r\n\r\n- a"}
    assert vic.post(url(request) + "/comments", **sent).status_code == 303
    assert vic.post(url(request) + "/comments", **sent).status_code == 303
    with life.store.read() as view:
        assert [one.body for one in view.promotions.comments(request.id)] == [
            "**why** [this](https://e.example)?\n\n- a"
        ]
    page = vic.page(url(request) + "/activity")
    assert '<strong>why</strong> <a href="https://e.example" rel="noopener nofollow">this</a>' in page
    assert "a comment must have 1 to 10000 characters" in vic.said(url(request) + "/comments", body="  ")
    assert "a comment must have 1 to 10000 characters" in vic.said(
        url(request) + "/comments", body="é" * (MAX_COMMENT + 1)
    )
    assert "this one has 60000" in vic.said(url(request) + "/comments", body="x" * 60_000)
    lines = "a\r\n" * (MAX_COMMENT // 2)
    answer = visit("ada").post(url(request) + "/comments", body=lines)
    assert answer.status_code == 303, "a browser's line ends count once"


@pytest.mark.parametrize(("at", "to"), [("", ""), ("#comment", ""), ("?all=1", "#comment"), (None, "#comment")])
def test_a_comment_by_script_loads_the_page_that_is_open(visit: Open, life: Life, at: str | None, to: str) -> None:
    request = asked(life)
    vic = visit("vic")
    here = {} if at is None else {"HX-Current-URL": f"http://testserver{url(request)}{at}"}
    data = {FIELD: masked(vic.session), "key": "k", "body": "seen"}
    answer = vic.client.post(url(request) + "/comments", data=data, headers={"HX-Request": "true", **here})
    assert answer.headers["HX-Redirect"] == url(request) + to
    assert "Comment added." in vic.page(url(request))


def test_a_long_conversation_shows_its_newest_part_first(visit: Open, life: Life) -> None:
    request = asked(life)
    for number in range(60):
        comment_promotion(life.ctx, life.as_("ada"), request.id, f"remark number {number}.")
    vic = visit("vic")
    page = vic.page(url(request))
    assert "remark number 59." in page
    assert "remark number 3." not in page
    assert "earlier</a>" in page
    assert "remark number 3." in vic.page(url(request) + "?all=1")


EVIL = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "'-alert(1)-'",
    "{{ 7 * 7 }}", "javascript:alert(1)", "</textarea><script>alert(1)</script>", "--><script>alert(1)</script>",
]  # fmt: skip


class Scan(HTMLParser):
    """Raises AssertionError at anything that a text of a person could have added to a page."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("img", "iframe", "object"), tag
        names = dict(attrs)
        assert tag != "script" or (names.get("src") or "").startswith("/static/"), attrs
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert not (
                name in ("href", "src", "action") and (value or "").lower().startswith(("javascript", "data"))
            ), attrs


@pytest.mark.parametrize("evil", EVIL)
def test_no_text_of_a_person_becomes_code(visit: Open, life: Life, evil: str) -> None:
    version = life.save(make_spec(parameters={"region": {"type": "string", "default": evil}}), message=evil)
    life.to_qa(version)
    life.plane.commit("flights_raw.flights")
    run = life.begin(version, QA)
    for number, table in enumerate(("flights.daily", "flights.late")):
        work = {
            "checks": (CheckResult(node=f"checks{number}", check="some", passed=True, observed=evil),),
            "inputs": (InputRead(node="raw", name=evil, ref=evil, fingerprint=evil),),
            "tools": {evil: evil},
        }
        life.publish(life.publishing(run, table, QA, number, **work))
    promote = "/pipelines/flights/versions/1/promote/uat"
    ada, lea = visit("ada"), visit("lea")
    pages = [ada.page(promote)]
    request = life.ask(version, UAT)
    comment_promotion(life.ctx, life.as_("ada"), request.id, f"{evil} [x]({evil}) ![x]({evil}) **{evil}**")
    pages.append(lea.page(url(request)))
    pages.append(lea.said(url(request) + "/approve", plan_digest=evil.replace(" ", "")))
    reject_promotion(life.ctx, life.as_("lea"), request.id, request.plan_digest, reason=evil)
    again = life.ask(version, UAT, by="ada")
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, UAT, None, reason=evil)
    for path in ("", "/status", "/decision", "/activity"):
        pages += [lea.page(url(request) + path), ada.page(url(again) + path)]
    pages.append(ada.page(promote))
    for page in pages:
        Scan(convert_charrefs=True).feed(page)
        if "<" in evil:
            assert evil not in page


def test_a_request_that_a_visitor_may_not_see_is_not_shown(visit: Open, life: Life) -> None:
    request = asked(
        life,
    )
    life.save(make_spec("hotels"))
    life.add_person("mallory", None)
    with life.store.write(life.as_("adam"), "grant") as unit:
        unit.people.add_grant(
            person_id=life.person("mallory"), team_id=None, role="LeadDataEngineer", scope="pipeline",
            scope_value="hotels", granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", "person:mallory")
    mallory = visit("mallory")
    for path in ("", "/status", "/decision", "/activity"):
        answer = mallory.get(url(request) + path)
        assert answer.status_code == 403, path
        assert "flights.daily" not in answer.text
    for verb in ("approve", "reject", "withdraw", "refresh", "execute", "comments", "review"):
        fields = {"plan_digest": request.plan_digest, "reason": "r", "body": "b", "verdict": "approve"}
        assert mallory.post(url(request) + "/" + verb, **fields).status_code in (403, 409), verb
    assert life.promotion(request.id).state is State.REQUESTED
    assert mallory.get("/approvals/99").status_code == 404
