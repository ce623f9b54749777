"""What every notifier does: one suite for the fake that tests use, and for webhooks and mail on real ports."""

from __future__ import annotations

import email
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from email import policy
from typing import Any

import pytest

from lifecycle.app.notifier import Mail, Sender, signature_of
from lifecycle.ports import Message, Notifier
from tests.fakes.notifier import FakeNotifier
from tests.lifecycle.app.receivers import Hook, Mailbox, listening

SECRET = b"shared with the receiver"
BODY = {"event": "promotion.stale", "pipeline": "flights", "promotion": 7, "target": "uat", "reason": "main moved"}


class Place(ABC):
    """A notifier and one receiver that it can reach."""

    notifier: Notifier
    receiver: str

    @abstractmethod
    def got(self) -> list[tuple[str, dict[str, Any]]]:
        """The key and the body of each message that the receiver has taken."""

    @abstractmethod
    def refuse(self) -> None:
        """From now on the receiver answers that it does not take anything."""

    @abstractmethod
    def nobody(self) -> str:
        """The address of a receiver at which nobody answers."""


class Fake(Place):
    def __init__(self) -> None:
        self.notifier = self._fake = FakeNotifier()
        self.receiver = "https://hooks.example.org/x"

    def got(self) -> list[tuple[str, dict[str, Any]]]:
        return [(one.key, one.body) for one in self._fake.messages]

    def refuse(self) -> None:
        self._fake.failing[self.receiver] = OSError("503 Service Unavailable")

    def nobody(self) -> str:
        self._fake.failing["https://gone.example.org"] = ConnectionRefusedError("Connection refused")
        return "https://gone.example.org"


class Webhook(Place):
    def __init__(self, stack: ExitStack) -> None:
        self._hook = stack.enter_context(listening(Hook()))
        self.notifier, self.receiver = Sender(SECRET), self._hook.url

    def got(self) -> list[tuple[str, dict[str, Any]]]:
        taken: list[tuple[str, dict[str, Any]]] = []
        for headers, body in self._hook.got:
            assert headers["X-DRLS-Signature"] == signature_of(SECRET, body)
            message = json.loads(body)
            assert message.pop("text")
            assert headers["X-DRLS-Event"] == message["event"]
            taken.append((headers["X-DRLS-Delivery"], message))
        return taken if self._hook.status == 200 else []

    def refuse(self) -> None:
        self._hook.status = 503

    def nobody(self) -> str:
        return f"http://127.0.0.1:{_free_port()}/hook"


class Letters(Place):
    def __init__(self, stack: ExitStack) -> None:
        self._mailbox = stack.enter_context(listening(Mailbox()))
        self.receiver = "mailto:lea@example.org"
        self._mail = Mail(host="127.0.0.1", port=self._mailbox.port, sender="drls@example.org", starttls=False)
        self.notifier = Sender(SECRET, self._mail)

    def got(self) -> list[tuple[str, dict[str, Any]]]:
        letters = [email.message_from_bytes(one, policy=policy.default) for one in self._mailbox.letters]
        assert {one["To"] for one in letters} <= {"lea@example.org"}
        assert all(one["Subject"].startswith("flights: ") for one in letters)
        return [
            (one["Message-ID"].removeprefix("<").removesuffix("@drls>"), json.loads(one.get_content()))
            for one in letters
        ]

    def refuse(self) -> None:
        self._mailbox.refuses = b"554 no"

    def nobody(self) -> str:
        self.notifier = Sender(SECRET, self._mail.model_copy(update={"port": _free_port()}))
        return self.receiver


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening_for_a_moment:
        return listening_for_a_moment.getsockname()[1]


@pytest.fixture(params=["fake", "webhook", "mail"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Fake() if request.param == "fake" else {"webhook": Webhook, "mail": Letters}[request.param](stack)


def message(place: Place, key: str = "drls-1", **changes: Any) -> Message:
    body = {**BODY, **changes}
    return Message(key=key, event=body["event"], receiver=place.receiver, body=body)


def test_it_returns_when_the_receiver_has_the_whole_message(place: Place) -> None:
    place.notifier.deliver(message(place))
    assert place.got() == [("drls-1", BODY)]


def test_a_message_that_is_sent_again_has_the_same_key(place: Place) -> None:
    for key in ("drls-1", "drls-1", "drls-2"):
        place.notifier.deliver(message(place, key))
    assert [key for key, _ in place.got()] == ["drls-1", "drls-1", "drls-2"]


def test_letters_of_every_language_and_reasons_of_several_lines_arrive(place: Place) -> None:
    """A reason of two lines could not be mailed: it was tried twelve times and dropped."""
    reason = "Verspätung größer als 60 min\r\nBcc: everybody@example.org\n遅延"
    place.notifier.deliver(message(place, reason=reason))
    assert [body["reason"] for _, body in place.got()] == [reason]


def test_it_raises_when_the_receiver_does_not_take_it(place: Place) -> None:
    place.refuse()
    with pytest.raises(Exception, match=r"503|554"):
        place.notifier.deliver(message(place))
    assert place.got() == []


def test_it_raises_when_nobody_answers_and_goes_on_for_others(place: Place) -> None:
    well = place.notifier
    address = place.nobody()
    with pytest.raises(Exception, match="refused"):
        place.notifier.deliver(message(place).model_copy(update={"receiver": address}))
    well.deliver(message(place))
    assert [key for key, _ in place.got()] == ["drls-1"]


def test_it_raises_for_an_address_of_no_kind_that_it_knows(place: Place) -> None:
    with pytest.raises(ValueError, match=r"address|https://"):
        place.notifier.deliver(message(place).model_copy(update={"receiver": "ftp://example.org"}))


def test_a_mail_without_a_mail_server_says_what_to_set() -> None:
    with pytest.raises(ValueError, match="no mail server is configured"):
        Sender(SECRET).deliver(Message(key="drls-1", event="test", receiver="mailto:lea@example.org", body=BODY))
