"""Slowing down whoever guesses at passwords, and nobody else.

Wrong passwords are counted for each client at each account. A client is an address (of IPv6 its network), or a browser
that signed in to this account before, which has a count of its own. So nobody who guesses elsewhere keeps the owner
out. After a few failures a client waits between attempts, at most a minute. Where many guess at one account, or one
client at many, each of them has one attempt before it waits.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from lifecycle.domain.people import Actor, Person
from lifecycle.errors import TooMany, Unauthorized
from lifecycle.store.unit import View
from lifecycle.usecases.accounts import is_password
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import seal, unseal
from lifecycle.usecases.tokens import Issued

WINDOW = timedelta(minutes=15)
QUICK = 5
MANY = 30
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=1)
KEPT = 20_000
# Each comparison of a password takes 64 MB and a processor for a twentieth of a second.
AT_ONCE = 2
IN_LINE = 16
IN_LINE_OF_ONE = 8
BROWSER_LIFE = timedelta(days=180)
_BROWSER = "drls-browser"


class Guesses:
    """The comparisons of passwords in this process: how many are at work, and whose wait."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def turn(self, client: str) -> Generator[None]:
        """Waits for its turn. Raises TooMany when too many wait already."""
        with self._lock:
            if self._waiting.total() >= IN_LINE or self._waiting[client] >= IN_LINE_OF_ONE:
                raise TooMany("too many people are signing in at once; try again in a second", retry_after=1)
            self._waiting[client] += 1
        try:
            with self._turns:
                yield
        finally:
            with self._lock:
                self._waiting[client] -= 1
                if not self._waiting[client]:
                    del self._waiting[client]


_GUESSES = Guesses()


def prove(ctx: Context, acting: Actor, name: str, password: str, client: str) -> tuple[Person, int]:
    """The person whose password this is, and the attempt, to be passed to `attempt_succeeded` where all is well.

    Raises Unauthorized without saying what was wrong, TooMany for who has to wait. The attempt is counted as failed
    before the password is looked at, so that guessing in parallel gains nothing.
    """
    with _GUESSES.turn(client):
        with ctx.store.write(acting, "sign_in") as unit:
            pause = _pause(unit, name, client)
            if pause > timedelta(0):
                seconds = math.ceil(pause.total_seconds())
                raise TooMany(f"too many wrong attempts; try again in {seconds} seconds", retry_after=seconds)
            attempt = unit.people.add_attempt(name, client, most=KEPT, since=WINDOW)
            person = unit.people.find(name)
            if person is not None or _is_power_of_two(unit.people.count_failures(client, since=WINDOW)):
                # Names that strangers make up would fill the audit log, which is never cut.
                unit.audit("sign_in.attempt", f"person:{name}", host=acting.host)
        if not is_password(ctx, person, password) or person is None or person.disabled_at is not None:
            raise Unauthorized("wrong account name or password")
        return person, attempt


def client_of(ctx: Context, name: str, host: str, browser: str | None) -> str:
    """Who guesses: the browser that `browser` proves to have signed in as `name` before, else the address."""
    if browser:
        try:
            known = unseal(ctx, _BROWSER, browser)
        except Unauthorized:
            known = {}
        if known.get("account") == name:
            return f"browser:{known['id']}"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        # Whoever has one address of a network has all of them.
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def known_browser(ctx: Context, session: Issued) -> str:
    """What a browser keeps after it signed in, to be known the next time at this account; it opens nothing."""
    with ctx.store.read() as view:
        name = view.people.get(view.people.token(session.id).person_id).name
    return seal(ctx, _BROWSER, {"account": name, "id": str(session.id)}, BROWSER_LIFE)


def _pause(view: View, name: str, client: str) -> timedelta:
    """How long this client has to wait before its next attempt at this account."""
    own = view.people.failures(account=name, client=client, since=WINDOW, most=QUICK + 20)
    quick = QUICK
    if not client.startswith("browser:") and _many_guess(view, name, client):
        quick = 1
    if len(own) < quick:
        return timedelta(0)
    pause = min(FIRST_PAUSE * 2 ** (len(own) - quick), LONGEST_PAUSE)
    return own[0] + pause - view.now


def _many_guess(view: View, name: str, client: str) -> bool:
    """Whether many guess at this account, or this client at many."""
    at_account = view.people.failures(account=name, since=WINDOW, most=MANY)
    of_client = view.people.failures(client=client, since=WINDOW, most=MANY)
    return max(len(at_account), len(of_client)) >= MANY


def _is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0
