"""Two reviewers at the same time, and approvals of what nobody has seen."""

from __future__ import annotations

import re

from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.domain.promotion import Promotion, State
from tests.lifecycle.app.approvals.reviewing import Open, asked, url
from tests.lifecycle.app.together import together
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import Life


def test_both_reviewers_at_once_one_clear_line(visit: Open, life: Life) -> None:
    request = asked(life)
    lea, leo = visit("lea"), visit("leo")
    _warm(request, lea, leo)
    sent = {"plan_digest": request.plan_digest, "reason": "no"}
    answers = together(
        lambda: _send(lea, url(request) + "/approve", sent),
        lambda: _send(leo, url(request) + "/reject", sent),
    )
    statuses = sorted(one.status_code for one in answers)
    assert statuses == [204, 409]
    lost = next(one for one in answers if one.status_code == 409)
    assert re.search(r"request 2 is (rejected|executing|done) and ", lost.text)
    assert 'class="told bad"' in lost.text
    state = life.promotion(request.id).state
    assert state in (State.DONE, State.REJECTED)
    for visitor in (lea, leo):
        status = visitor.page(url(request) + "/status")
        assert f"{state.value}</span>" in status
        assert 'hx-swap-oob="true"' in status
        assert "Approve this plan" not in visitor.page(url(request) + "/decision")


def _warm(request: Promotion, *visitors: Visit) -> None:
    """FastAPI builds what reads a form at its first use, and warns when two threads do so at once."""
    for visitor in visitors:
        for verb in ("approve", "reject"):
            assert visitor.post(f"{url(request)}/{verb}", plan_digest="x", reason="r").status_code == 409


def _send(visitor: Visit, path: str, fields: dict[str, str]):
    """What a page with scripts sends and is answered."""
    data = {FIELD: masked(visitor.session), "key": "k", **fields}
    return visitor.client.post(path, data=data, headers={"HX-Request": "true"})


def test_two_approvals_at_once_execute_once(visit: Open, life: Life) -> None:
    request = asked(life)
    visitors = [visit("lea"), visit("leo")]
    _warm(request, *visitors)
    answers = together(
        *(
            lambda one=one: _send(one, url(request) + "/approve", {"plan_digest": request.plan_digest})
            for one in visitors
        )
    )
    assert life.promotion(request.id).state is State.DONE
    assert sorted(one.status_code for one in answers)[0] == 204
    with life.store.read() as view:
        assert len(view.log.search(subject=f"promotion:{request.id}", verb="promotion.done")) == 1


def test_a_digest_that_was_not_seen_approves_nothing(visit: Open, life: Life) -> None:
    request = asked(life)
    lea = visit("lea")
    for digest in ("sha256:" + "0" * 64, "x"):
        said = lea.said(url(request) + "/approve", plan_digest=digest)
        assert "a different plan than the one you reviewed" in said
    assert "plan_digest" in lea.said(url(request) + "/approve")
    assert life.promotion(request.id).state is State.REQUESTED
