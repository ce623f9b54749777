"""What is recorded is answered as recorded, over REST and on the pages: what follows it may fail (finding 19)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.promotion import Promotion, State
from lifecycle.errors import Conflict, Unavailable
from lifecycle.usecases import approve_promotion, execute_promotion
from lifecycle.usecases.tokens import issue_token
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import PRODUCTION, UAT, Life

DOWN = Unavailable("the catalog is down")


def fails(error: Exception) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise error

    return call


def asked_for_production(life: Life) -> Promotion:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    return life.ask(version, PRODUCTION)


def caller(life: Life, name: str) -> Callable[..., Any]:
    """REST with a token of somebody's; the answer must be a success."""
    token = issue_token(
        life.ctx, life.as_(name), "t", scopes=tuple(TokenScope), life=timedelta(days=1), within=TokenScope
    ).secret
    client = Visit(life, None).client

    def call(method: str, path: str, **body: Any) -> Any:
        answer = client.request(method, f"/api{path}", json=body or None, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    return call


def test_rest_answers_an_approval_as_recorded_whatever_follows_it(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed on 0.1.0 with 503 or 409 for each of them."""
    asked = asked_for_production(life)
    path, lea = f"/approvals/{asked.id}", caller(life, "lea")
    with monkeypatch.context() as patch:
        patch.setattr(life.plane, "move", fails(ConnectionError("no answer")))
        said = lea("POST", f"{path}/approve", plan_digest=asked.plan_digest, reason="good")
        assert said["state"] == "failed"
        assert lea("GET", path)["decisions"], "it is recorded"
    monkeypatch.setattr(life.plane, "unpin", fails(DOWN))
    done = lea("POST", f"{path}/execute")
    assert life.promotion(asked.id).state is State.DONE
    assert str(done).count("done")
    assert lea("POST", f"{path}/approve", plan_digest=asked.plan_digest)["state"] == "done", "said once more"


def test_rest_answers_an_approval_that_somebody_else_executes_with_what_it_waits_for(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed on 0.1.0: 409."""
    asked = asked_for_production(life)
    for module in (approve_promotion, execute_promotion):
        monkeypatch.setattr(module, "begin", fails(Conflict("request 9 being executed by another; wait for it")))
    said = caller(life, "lea")("POST", f"/approvals/{asked.id}/approve", plan_digest=asked.plan_digest)
    assert (said["state"], said["waiting"]) == ("approved", "request 9 being executed by another; wait for it")


def test_rest_answers_a_request_and_its_end_as_recorded(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed on 0.1.0: the request was there, and whoever made it got an error; its withdrawal likewise."""
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    ada = caller(life, "ada")
    for name in ("pin", "unpin"):
        monkeypatch.setattr(life.plane, name, fails(DOWN))
    asked = ada("POST", "/pipeline-defs/flights/versions/1/promote", target="production")
    assert asked["state"] == "requested"
    assert ada("POST", f"/approvals/{asked['id']}/withdraw", reason="later")["state"] == "withdrawn"


def test_a_page_answers_an_approval_as_recorded(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed on 0.1.0: the approver saw the catalog's error."""
    asked = asked_for_production(life)
    monkeypatch.setattr(life.plane, "unpin", fails(DOWN))
    lea = Visit(life, "lea")
    answer = lea.post(f"/approvals/{asked.id}/approve", plan_digest=asked.plan_digest)
    assert answer.status_code == 303
    assert life.promotion(asked.id).state is State.DONE
    assert "the catalog is down" not in lea.page(answer.headers["location"])
