"""Notifications: written with the change, delivered with retries, to real receivers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lifecycle.addresses import refuse_webhook
from lifecycle.app.notifier import Mail, Sender, signature_of
from lifecycle.domain.promotion import State
from lifecycle.errors import Invalid
from lifecycle.ports import Message
from lifecycle.usecases.deliver import MAX_ATTEMPTS, deliver
from lifecycle.usecases.parts.outbox import RECEIVERS
from lifecycle.usecases.set_receivers import Receiver, set_receivers
from lifecycle.usecases.tick import remind
from tests.lifecycle.app.receivers import Hook, Mailbox, listening
from tests.lifecycle.life import QA, SETUP, UAT, Life

SECRET = b"shared with the receiver"


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening(Hook()) as made:
        yield made


def tell_to(life: Life, *addresses: str, events: tuple[str, ...] = ()) -> None:
    receivers = [{"address": address, "events": list(events)} for address in addresses]
    with life.store.write(SETUP, "config") as unit:
        unit.settings.put(RECEIVERS, {"receivers": receivers})
        unit.audit("config.set", "installation:config")


def ask(life: Life) -> Any:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    return life.ask(version, UAT)


def test_a_receiver_gets_a_signed_message_that_slack_can_show(life: Life, hook: Hook) -> None:
    tell_to(life, hook.url, events=("promotion.requested",))
    asked = ask(life)
    assert deliver(life.ctx, SETUP, Sender(SECRET)).sent == 2
    headers, body = hook.got[-1]
    assert headers["X-DRLS-Signature"] == signature_of(SECRET, body)
    message = json.loads(body)
    assert message["promotion"] == asked.id
    assert message["text"] == f"flights: promotion requested request {asked.id} to UAT"
    assert message["may_approve"] == ["adam", "lea", "leo"]
    assert deliver(life.ctx, SETUP, Sender(SECRET)).sent == 0


def test_a_dead_receiver_blocks_no_decision_and_no_other_receiver(life: Life, hook: Hook) -> None:
    tell_to(life, "http://127.0.0.1:9/dead", hook.url, events=("promotion.requested",))
    asked = ask(life)
    first = deliver(life.ctx, SETUP, Sender(SECRET))
    assert (first.sent, first.postponed) == (2, 1)
    assert life.approve(asked).state is State.DONE


def test_it_is_tried_again_with_growing_pauses_under_the_same_key(life: Life, hook: Hook) -> None:
    tell_to(life, hook.url, events=("promotion.approved",))
    life.approve(ask(life))
    hook.status = 503
    assert deliver(life.ctx, SETUP, Sender(SECRET)).postponed == 1
    assert deliver(life.ctx, SETUP, Sender(SECRET)).postponed == 0
    life.clock.advance(seconds=15)
    hook.status = 200
    assert deliver(life.ctx, SETUP, Sender(SECRET)).sent == 1
    assert len({headers["X-DRLS-Delivery"] for headers, _ in hook.got}) == 1


def test_it_is_given_up_after_many_tries(life: Life) -> None:
    tell_to(life, "http://127.0.0.1:9/dead", events=("promotion.approved",))
    life.approve(ask(life))
    results = []
    for _ in range(MAX_ATTEMPTS):
        results.append(deliver(life.ctx, SETUP, Sender(SECRET)))
        life.clock.advance(hours=7)
    assert [one.given_up for one in results] == [0] * (MAX_ATTEMPTS - 1) + [1]


def test_a_refused_change_tells_nobody(life: Life, hook: Hook) -> None:
    tell_to(life, hook.url)
    version = life.save()
    deliver(life.ctx, SETUP, Sender(SECRET))
    before = len(hook.got)
    with pytest.raises(Exception, match="not active in QA"):
        life.ask(version, UAT)
    assert deliver(life.ctx, SETUP, Sender(SECRET)).sent == 0
    assert len(hook.got) == before


def test_pending_requests_are_brought_to_mind_once_a_day(life: Life, hook: Hook) -> None:
    tell_to(life, hook.url, events=("promotion.reminder",))
    ask(life)
    assert remind(life.ctx, SETUP) == 0
    life.clock.advance(days=1, hours=1)
    assert [remind(life.ctx, SETUP), remind(life.ctx, SETUP)] == [1, 0]
    assert deliver(life.ctx, SETUP, Sender(SECRET)).sent == 1


def test_a_mail_goes_out(life: Life) -> None:
    with listening(Mailbox()) as mailbox:
        tell_to(life, "mailto:lea@example.org", events=("promotion.requested",))
        ask(life)
        mail = Mail(host="127.0.0.1", port=mailbox.port, sender="drls@example.org", starttls=False)
        assert deliver(life.ctx, SETUP, Sender(SECRET, mail)).sent == 2
    assert b"To: lea@example.org" in mailbox.letters[-1]
    assert b"promotion requested" in mailbox.letters[-1]


def test_a_redirect_is_not_followed(life: Life, hook: Hook) -> None:
    tell_to(life, hook.url, events=("promotion.requested",))
    ask(life)
    hook.status = 307
    deliver(life.ctx, SETUP, Sender(SECRET))
    assert len(hook.got) == 1


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.org/x",
        "http://localhost:9/x",
        "http://127.0.0.2/x",
        "http://[::1]:80/x",
        "https://10.0.0.1/",
    ],
)
def test_webhooks_are_https_or_on_this_machine(address: str) -> None:
    assert refuse_webhook(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.example.org/x", "http://169.254.169.254/latest", "http://10.0.0.1/", "http://localhost.evil.org/",
        "https://169.254.169.254/latest", "https://[fe80::1]/", "https://[::ffff:169.254.169.254]/",
        "https://2852039166/", "https://0xa9fea9fe/", "https://169.254.169.254./", "http://127.0.0.1@example.org/",
    ],
)  # fmt: skip
def test_other_webhooks_are_refused_when_they_are_set_and_at_delivery(life: Life, address: str) -> None:
    with pytest.raises(Invalid, match="address: write https://"):
        set_receivers(life.ctx, SETUP, [Receiver(address=address)], expected=0)
    with pytest.raises(ValueError, match="write https://"):
        Sender(SECRET).deliver(Message(key="drls-1", event="test.message", receiver=address, body={}))
