"""The tools that propose promotions, on a real store. None of them decides."""

from __future__ import annotations

import pytest

from agent.tools.errors import NeedsConfirmation, ToolError
from agent.tools.registry import all_tools
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Forbidden, NotFound, Unavailable
from lifecycle.usecases import execute_promotion
from lifecycle.verbs.table import ROWS
from tests.agent.tools.conftest import READ, Asked, Hands
from tests.lifecycle.life import QA, make_spec

ASK = {"pipeline": "flights", "version": 1, "to": "uat", "reason": "for the season"}


def in_qa(hands: Hands) -> None:
    life = hands.world.life
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)


def requests(hands: Hands) -> list[int]:
    return [one["id"] for one in hands("list_requests")["requests"]]


def test_a_plan_says_what_is_missing_before_anybody_asks(hands: Hands) -> None:
    hands.world.life.save()
    found = hands("plan_promotion", pipeline="flights", version=1, to="uat", by="vic", scopes=READ)
    assert not found["possible"]
    assert any("QA" in one for one in found["missing"])
    assert found["next"] == "do what is missing, then plan again"
    in_qa(hands)
    found = hands("plan_promotion", pipeline="flights", version=1, to="uat")
    assert (found["possible"], found["missing"]) == (True, [])
    assert set(found["may_approve"]) >= {"lea", "leo"}
    assert found["plan_digest"].startswith("sha256:")
    assert requests(hands) == [1]


def test_a_request_is_made_only_when_a_person_agrees(hands: Hands) -> None:
    in_qa(hands)
    dry = hands("request_promotion", **ASK)
    assert ("request" in dry, dry["state"]) == (False, "nothing was asked")
    assert dry["next"] == "call again with dry_run=false and this plan_digest"
    with pytest.raises(NeedsConfirmation, match=r"Request to promote flights v1 to UAT \(2 tables\)\?"):
        hands("request_promotion", **ASK, dry_run=False)
    with pytest.raises(ToolError, match="the person said no"):
        hands("request_promotion", **ASK, dry_run=False, client=Asked(False))
    assert requests(hands) == [1]
    client = Asked(True)
    made = hands("request_promotion", **ASK, dry_run=False, client=client, plan_digest=dry["plan_digest"])
    assert (made["request"], made["state"], made["link"]) == (2, "requested", "https://drls.example/approvals/2")
    assert client.questions == ["Request to promote flights v1 to UAT (2 tables)?"]
    assert hands("get_request", id=2)["by"] == "ada"


def test_a_plan_that_moved_is_not_asked_for(hands: Hands) -> None:
    in_qa(hands)
    with pytest.raises(ToolError, match="the plan has changed since you looked"):
        hands("request_promotion", **ASK, dry_run=False, client=Asked(True), plan_digest="sha256:other")
    assert requests(hands) == [1]


def test_what_is_missing_is_said_and_nothing_is_asked(hands: Hands) -> None:
    hands.world.life.save()
    client = Asked(True)
    found = hands("request_promotion", **ASK, dry_run=False, client=client)
    assert found["missing"]
    assert client.questions == []
    with pytest.raises(ToolError, match="no pipeline 'planes' here"):
        hands("plan_promotion", pipeline="planes", version=1, to="uat")
    with pytest.raises(NotFound, match="flights has no version 9"):
        hands("plan_promotion", pipeline="flights", version=9, to="uat")


def test_a_key_asks_once(hands: Hands) -> None:
    in_qa(hands)
    how = {**ASK, "dry_run": False, "unattended": True, "key": "season-2026"}
    first = hands("request_promotion", **how)
    assert hands("request_promotion", **how)["request"] == first["request"]
    with pytest.raises(Conflict, match="asks for the same promotion"):
        hands("request_promotion", **{**how, "key": None})
    said = [hands("comment", request=2, text="please", key="comment-1") for _ in range(2)]
    assert said[0] == said[1]
    assert len(hands("get_request", id=2)["comments"]) == 1


def test_qa_takes_no_approval(hands: Hands) -> None:
    hands.world.life.save()
    client = Asked(True)
    made = hands("request_promotion", **{**ASK, "to": "qa"}, dry_run=False, client=client)
    assert client.questions == ["Promote flights v1 to QA (2 tables)?"]
    assert (made["state"], made["next"]) == ("done", "run flights in qa")


def test_what_is_recorded_is_answered_as_recorded(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 19: the request is there, and then it is over, though the catalog answers neither time."""

    def down(*_: object) -> None:
        raise Unavailable("the catalog is down")

    in_qa(hands)
    for name in ("pin", "unpin"):
        monkeypatch.setattr(hands.world.life.plane, name, down)
    asked = hands("request_promotion", **ASK, dry_run=False, unattended=True)
    assert (asked["request"], asked["state"]) == (2, "requested")
    ended = hands("withdraw", request=2, reason="later", dry_run=False, unattended=True)
    assert ended["state"] == "withdrawn"


def test_a_promotion_to_qa_that_waits_does_not_say_that_it_may_run_there(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 19, the other way round; failed before: "run flights in qa"."""

    def taken(*_: object) -> None:
        raise Conflict("request 9 being executed by another; wait until it finishes")

    hands.world.life.save()
    monkeypatch.setattr(execute_promotion, "begin", taken)
    made = hands("request_promotion", **{**ASK, "to": "qa"}, dry_run=False, unattended=True)
    assert made["state"] != "done"
    assert made["next"] == "wait: request 9 being executed by another; wait until it finishes"


def test_a_request_is_withdrawn_after_a_look(hands: Hands) -> None:
    in_qa(hands)
    hands("request_promotion", **ASK, dry_run=False, unattended=True)
    assert hands("withdraw", request=2, reason="later")["state"] == "requested"
    with pytest.raises(NeedsConfirmation):
        hands("withdraw", request=2, reason="later", dry_run=False)
    client = Asked(True)
    assert hands("withdraw", request=2, reason="later", dry_run=False, client=client)["state"] == "withdrawn"
    assert client.questions == ["Withdraw request 2: flights v1 to UAT, with 0 approvals?"]
    with pytest.raises(ToolError, match="request 2 is withdrawn and can no longer be withdrawn"):
        hands("withdraw", request=2, reason="again")


def test_nobody_proposes_beyond_their_rights(hands: Hands) -> None:
    in_qa(hands)
    hands.world.life.save(make_spec("trains"))
    with pytest.raises(Forbidden):
        hands("request_promotion", **ASK, dry_run=False, unattended=True, by="vic")
    for name in ("request_promotion", "comment", "withdraw"):
        with pytest.raises(ToolError, match=f"no tool {name} for this token"):
            hands(name, scopes=READ)
    hands("request_promotion", **ASK, dry_run=False, unattended=True)
    hands.world.add_somebody("tim", Role.DATA_ENGINEER, on="trains")
    for name, arguments in {
        "plan_promotion": {"pipeline": "flights", "version": 1, "to": "uat"},
        "request_promotion": ASK,
        "comment": {"request": 2, "text": "let me in"},
        "withdraw": {"request": 2, "reason": "mine"},
    }.items():
        with pytest.raises(ToolError, match="here, or you may not see it"):
            hands(name, by="tim", unattended=True, **arguments)
    assert hands("get_request", id=2)["comments"] == []


def test_no_tool_decides(hands: Hands) -> None:
    """Deciding is for people: neither a tool nor a verb that agents may call does it."""
    names = {one.name for one in all_tools()}
    assert not names & {"approve", "reject", "review", "execute", "break_glass", "set_policy", "grant", "rollback"}
    closed = {row.verb.run.__name__ for row in ROWS if not row.agents}
    assert closed >= {"approve", "reject", "review", "break_glass", "set_policy", "remove_policy", "grant", "add"}
    with pytest.raises(ToolError, match="there is no tool approve here"):
        hands("approve", request=1)
