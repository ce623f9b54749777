"""Who is told of what, and what did not arrive."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import lifecycle.usecases
from lifecycle.app.pages.notifications import masked
from lifecycle.domain.people import system_actor
from lifecycle.ports import Message, Notifier
from lifecycle.usecases.deliver import deliver
from lifecycle.usecases.set_receivers import receivers_of
from lifecycle.usecases.telling import EVENTS
from tests.lifecycle.app.pages.visit import Visit
from tests.lifecycle.life import Life

Open = Callable[[str | None], Visit]
HOOK = "https://hooks.example.org/services/T00/B00/verysecretpart"
SCRIPT = "<script>alert(1)</script>"
PAGE = "/settings/notifications"


def revision(life: Life) -> str:
    with life.store.read() as view:
        return str(receivers_of(view)[1])


def addresses(life: Life) -> list[str]:
    with life.store.read() as view:
        return [one.address for one in receivers_of(view)[0]]


class Dead(Notifier):
    def deliver(self, message: Message) -> None:
        raise OSError(f"Client error '404 Not Found' for url '{message.receiver}' {SCRIPT}")


class Kept(Notifier):
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def deliver(self, message: Message) -> None:
        self.messages.append(message)


def test_every_event_that_is_told_can_be_chosen() -> None:
    folder = Path(next(iter(lifecycle.usecases.__path__)))
    told = {
        name for file in folder.glob("*.py") for name in re.findall(r'tell\(\s*unit, "([a-z_.]+)"', file.read_text())
    }
    assert told == set(EVENTS)


def test_receivers_are_added_changed_and_taken_away(visit: Open, life: Life) -> None:
    adam = visit("adam")
    assert "Nobody is told of anything" in adam.page(PAGE)
    adam.post(PAGE, revision="0", address=HOOK, events=["promotion.done"])
    adam.post(PAGE, revision="1", address="team@example.org")
    assert addresses(life) == [HOOK, "mailto:team@example.org"]
    page = adam.page(PAGE)
    assert "team@example.org" in page
    assert "verysecretpart" not in page
    assert "verysecret" not in adam.post(PAGE, revision="0", address=HOOK).text
    adam.post(f"{PAGE}/0/events", revision="2", events=["promotion.failed", "promotion.stale"])
    with life.store.read() as view:
        assert receivers_of(view)[0][0].events == ("promotion.failed", "promotion.stale")
    adam.post(f"{PAGE}/0/remove", revision="3")
    assert addresses(life) == ["mailto:team@example.org"]


def test_who_was_slower_hears_so_and_changes_nothing(visit: Open, life: Life) -> None:
    adam = visit("adam")
    adam.post(PAGE, revision="0", address="first@example.org")
    for path, fields in (
        (PAGE, {"address": "second@example.org"}), (f"{PAGE}/0/remove", {}), (f"{PAGE}/0/events", {}),
        (f"{PAGE}/0/test", {}),
    ):  # fmt: skip
        assert "changed" in adam.said(path, revision="0", **fields)
    assert addresses(life) == ["mailto:first@example.org"]
    assert "not there any more" in adam.said(f"{PAGE}/7/remove", revision="1")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"address": "javascript:alert(1)"}, "address: write"),
        ({"address": "nothing"}, "address: write"),
        ({"address": "https://x:99999999/"}, "no address"),
        ({"address": "https://a b/"}, "address: write"),
        ({"address": "http://hooks.example.org/x"}, "only for this machine"),
        ({"address": "http://169.254.169.254/latest"}, "only for this machine"),
        ({"address": "https://169.254.169.254/latest"}, "link-local addresses are refused"),
        ({"address": "a@example.org", "events": SCRIPT}, "there is no event"),
    ],
)
def test_an_address_or_event_that_does_not_exist_is_refused(
    visit: Open, life: Life, fields: dict[str, str], told: str
) -> None:
    said = visit("adam").said(PAGE, revision="0", **fields)
    assert told in said
    assert SCRIPT not in said
    assert addresses(life) == []


def test_what_fails_is_shown_with_the_reason_and_without_the_secret(visit: Open, life: Life) -> None:
    adam = visit("adam")
    adam.post(PAGE, revision="0", address=HOOK)
    adam.post(f"{PAGE}/0/test", revision="1")
    assert "waiting</span>" in adam.page(f"{PAGE}/outbox")
    assert "1 waiting</span>" in adam.page(PAGE)
    acting = system_actor("notifier")
    deliver(life.ctx, acting, Dead())
    page = adam.page(PAGE)
    assert "failing</span>" in page
    assert "404 Not Found" in page
    assert "verysecretpart" not in page
    assert SCRIPT not in page
    for _ in range(12):
        life.clock.advance(hours=7)
        deliver(life.ctx, acting, Dead())
    assert "given up</span>" in visit("adam").page(f"{PAGE}/outbox")


def test_a_test_message_goes_the_way_of_all(visit: Open, life: Life) -> None:
    adam = visit("adam")
    adam.post(PAGE, revision="0", address="team@example.org", events=["promotion.done"])
    adam.post(f"{PAGE}/0/test", revision="1")
    kept = Kept()
    assert deliver(life.ctx, system_actor("notifier"), kept).sent == 1
    assert kept.messages[0].event == "test.message"
    assert "1</span> delivered" in adam.page(PAGE) or "1 delivered" in adam.page(PAGE)
    assert "Nothing waits" in adam.page(PAGE)


def test_addresses_are_masked_and_only_text(visit: Open, life: Life) -> None:
    assert masked("mailto:a@b.org") == "a@b.org"
    assert masked(HOOK) == "https://hooks.example.org/…part"
    assert masked("https://user:secret@host.example:8443/hook?token=abc") == "https://host.example:8443/…=abc"
    assert masked("https://host.example/") == "https://host.example/"
    assert masked("https://host.example/abcdef") == "https://host.example/…"
    adam = visit("adam")
    adam.post(PAGE, revision="0", address=f"mailto:{SCRIPT}@example.org".replace(" ", ""))
    adam.post(PAGE, revision="1", address=f"https://{SCRIPT}/")
    assert SCRIPT not in adam.page(PAGE)
