"""Who is told of what, and what did not arrive."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import drls_dagster
import lifecycle
from lifecycle.app.settings.notifications import masked
from lifecycle.domain.people import system_actor
from lifecycle.errors import Invalid
from lifecycle.ports import Message, Notifier
from lifecycle.usecases.deliver import deliver
from lifecycle.usecases.parts.outbox import EVENTS, tell
from lifecycle.usecases.set_receivers import Receiver, receivers_of, set_receivers
from tests.fakes.notifier import FakeNotifier
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import SETUP, Life

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


def test_every_event_that_is_sent_anywhere_can_be_chosen() -> None:
    """Finding 23; failed on 0.1.0: drift.loaded, sent by a sensor, was not among the events to choose from."""
    sent = {event for package in (lifecycle, drls_dagster) for event in _sent_by(Path(package.__path__[0]))}
    assert sent == set(EVENTS)


def _sent_by(folder: Path) -> Iterator[str]:
    """The event of every call of `tell`. Whatever else writes a message goes to one receiver that somebody named."""
    for file in sorted(folder.rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            match call:
                case ast.Call(func=ast.Name("tell"), args=[_, ast.Constant(event), *_]):
                    yield event
                # Without arguments it is the position in a file.
                case ast.Call(func=ast.Name("tell") | ast.Attribute(attr="tell"), args=[_, *_]) if (
                    file.name != "logs.py"
                ):
                    raise AssertionError(f"{file}:{call.lineno} sends an event that is not written out there")
                case ast.Call(func=ast.Attribute(attr="add", value=ast.Attribute(attr="outbox"))):
                    assert file.name in {"outbox.py", "set_receivers.py"}, f"{file}:{call.lineno} goes past tell()"
                case _:
                    pass


def test_an_event_that_no_receiver_can_choose_is_not_sent(life: Life) -> None:
    """Finding 23; failed on 0.1.0."""
    with life.store.write(SETUP, "tell") as unit, pytest.raises(ValueError, match="not in EVENTS"):
        tell(unit, "drift.unheard_of", "flights")


def test_a_receiver_is_told_of_what_reloading_does_not_help(visit: Open, life: Life) -> None:
    """Finding 23; failed on 0.1.0: 'there is no event'."""
    assert "drift.loaded" in visit("adam").page(PAGE)
    visit("adam").post(PAGE, revision="0", address="team@example.org", events=["drift.loaded"])
    with life.store.write(SETUP, "tell") as unit:
        unit.audit("drift.loaded", "location:production")
        tell(unit, "drift.found", "flights", table="flights.daily")
        tell(unit, "drift.loaded", "flights", environment="production")
    kept = FakeNotifier()
    assert deliver(life.ctx, system_actor("delivery"), kept).sent == 1
    assert [one.event for one in kept.messages] == ["drift.loaded"]


def test_receivers_are_added_changed_and_taken_away(visit: Open, life: Life) -> None:
    adam = visit("adam")
    assert "No receivers yet" in adam.page(PAGE)
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
    assert "no longer exists" in adam.said(f"{PAGE}/7/remove", revision="1")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"address": "javascript:alert(1)"}, "address: write"),
        ({"address": "nothing"}, "address: write"),
        ({"address": "https://x:99999999/"}, "not a valid web address"),
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
    assert "dropped</span>" in visit("adam").page(f"{PAGE}/outbox")


def test_a_test_message_goes_the_way_of_all(visit: Open, life: Life) -> None:
    adam = visit("adam")
    adam.post(PAGE, revision="0", address="team@example.org", events=["promotion.done"])
    adam.post(f"{PAGE}/0/test", revision="1")
    kept = FakeNotifier()
    assert deliver(life.ctx, system_actor("notifier"), kept).sent == 1
    assert kept.messages[0].event == "test.message"
    assert "1</span> delivered" in adam.page(PAGE) or "1 delivered" in adam.page(PAGE)
    assert "The outbox is empty" in adam.page(PAGE)


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


def test_rest_refuses_an_event_that_is_never_sent(life: Life) -> None:
    """Finding 23; failed on 0.1.0: the receiver was kept and would never have got a message."""
    receiver = Receiver(address="mailto:team@example.org", events=("promotion.dune",))
    with pytest.raises(Invalid, match=r"no event .promotion\.dune.; choose from promotion\.requested"):
        set_receivers(life.ctx, life.as_("adam"), [receiver], expected=0)
