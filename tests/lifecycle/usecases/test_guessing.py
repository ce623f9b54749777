"""Guessing passwords: who guesses waits, and keeps nobody else out."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from lifecycle.errors import TooMany, Unauthorized
from lifecycle.usecases.accounts import set_password
from lifecycle.usecases.parts import guessing
from lifecycle.usecases.parts.guessing import MANY, QUICK, known_browser
from lifecycle.usecases.sign_in import sign_in
from tests.lifecycle.life import Life
from tests.lifecycle.usecases.signing_in import PASSWORD, guess


def test_who_guesses_waits_ever_longer_but_never_more_than_a_minute(secured: Life) -> None:
    guess(secured, QUICK)
    for seconds in (5, 10, 20, 40, 60, 60, 60):
        with pytest.raises(TooMany, match=f"try again in {seconds}") as refused:
            sign_in(secured.ctx, "ada", PASSWORD, "host")
        assert refused.value.retry_after == seconds
        secured.clock.advance(seconds=seconds)
        guess(secured, 1)
    secured.clock.advance(seconds=61)
    assert sign_in(secured.ctx, "ada", PASSWORD, "host").secret


def test_nobody_who_guesses_keeps_the_owner_out(secured: Life) -> None:
    """Finding 15; failed on 0.1.0: five wrong passwords from anywhere locked the account for fifteen minutes."""
    for number in range(MANY // QUICK):
        guess(secured, QUICK, host=f"203.0.113.{number}")
    assert sign_in(secured.ctx, "ada", PASSWORD, "192.0.2.1").secret


def test_guessing_at_many_accounts_keeps_nobody_out_who_shares_the_address(secured: Life) -> None:
    """Finding 15; failed on 0.1.0: thirty wrong passwords from one address locked everybody who shared it."""
    for number in range(MANY + 10):
        guess(secured, 1, name=f"account-{number}", host="proxy")
    assert sign_in(secured.ctx, "ada", PASSWORD, "proxy").secret


def test_who_guesses_at_many_accounts_has_one_attempt_at_each_before_waiting(secured: Life) -> None:
    for number in range(MANY):
        guess(secured, 1, name=f"account-{number}")
    guess(secured, 1)
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "host")
    secured.clock.advance(seconds=5)
    assert sign_in(secured.ctx, "ada", PASSWORD, "host").secret


def test_where_many_guess_at_one_account_each_has_one_attempt_before_waiting(secured: Life) -> None:
    for number in range(MANY):
        guess(secured, 1, host=f"203.0.113.{number}")
    guess(secured, 1, host="198.51.100.1")
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", "wrong wrong wrong", "198.51.100.1")


def test_addresses_of_one_network_of_version_6_are_one_client(secured: Life) -> None:
    for number in range(QUICK):
        guess(secured, 1, host=f"2001:db8:1:2::{number + 1}")
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "2001:db8:1:2:ffff::1")
    assert sign_in(secured.ctx, "ada", PASSWORD, "2001:db8:1:3::1").secret


def test_a_browser_that_signed_in_before_is_not_slowed_by_others_at_its_address(secured: Life) -> None:
    """Finding 15; failed on 0.1.0."""
    known = known_browser(secured.ctx, sign_in(secured.ctx, "ada", PASSWORD, "proxy"))
    guess(secured, QUICK, host="proxy")
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "proxy")
    assert sign_in(secured.ctx, "ada", PASSWORD, "proxy", browser=known).secret


@pytest.mark.parametrize("kind", ["another account's", "made up", "too old"])
def test_a_browser_that_proves_nothing_counts_with_its_address(secured: Life, kind: str) -> None:
    set_password(secured.ctx, secured.as_("adam"), "eve", PASSWORD)
    known = known_browser(secured.ctx, sign_in(secured.ctx, "eve" if "another" in kind else "ada", PASSWORD, "proxy"))
    if kind == "too old":
        secured.clock.advance(days=181)
    guess(secured, QUICK, host="proxy")
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "proxy", browser="x.y.z" if kind == "made up" else known)


def test_a_browser_that_is_known_guesses_no_more_often_than_any_other(secured: Life) -> None:
    known = known_browser(secured.ctx, sign_in(secured.ctx, "ada", PASSWORD, "proxy"))
    for _ in range(QUICK):
        with pytest.raises(Unauthorized):
            sign_in(secured.ctx, "ada", "wrong wrong wrong", "proxy", browser=known)
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "elsewhere", browser=known)


def test_who_signs_in_slows_nobody_down_however_often(secured: Life) -> None:
    for _ in range(MANY + 1):
        assert sign_in(secured.ctx, "ada", PASSWORD, "proxy").secret


def test_a_success_forgives_the_failures_before_it_and_none_after(secured: Life) -> None:
    guess(secured, QUICK - 1)
    sign_in(secured.ctx, "ada", PASSWORD, "host")
    guess(secured, QUICK)
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "host")


def test_what_counts_guesses_does_not_grow_for_ever(secured: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 15; failed on 0.1.0: each guess of a stranger left a row and an audit entry for good."""
    monkeypatch.setattr(guessing, "KEPT", 40)
    with secured.store.read() as view:
        before = view.log.head().sequence
    for number in range(120):
        guess(secured, 1, name=f"nobody-{number}")
    with secured.store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sign_in_attempt")).scalar_one() == 40
    with secured.store.read() as view:
        assert view.log.head().sequence - before <= 8
    # The owner sees each guess at an account that is there.
    guess(secured, 1)
    with secured.store.read() as view:
        assert [one.body["host"] for one in view.log.search(verb="sign_in.attempt", subject="person:ada")] == ["host"]


def test_old_guesses_go(secured: Life) -> None:
    guess(secured, 1, name="nobody")
    secured.clock.advance(minutes=16)
    for number in range(101):
        guess(secured, 1, name=f"nobody-{number}")
    with secured.store.engine.connect() as connection:
        assert (
            connection.execute(text("SELECT count(*) FROM sign_in_attempt WHERE account = 'nobody'")).scalar_one() == 0
        )


def test_a_flood_of_sign_ins_waits_in_a_short_line(secured: Life) -> None:
    """Finding 15; each comparison takes 64 MB and a processor, and 0.1.0 began as many as there were threads."""
    at_work, most, held = [0], [0], threading.Event()

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            held.wait(30)
            at_work[0] -= 1
            return super().verify(hash, password)

    slow = replace(secured.ctx, passwords=Slow(time_cost=1, memory_cost=8, parallelism=1))

    def enter(number: int) -> str:
        try:
            sign_in(slow, f"nobody-{number}", PASSWORD, f"203.0.113.{number % 2}")
        except TooMany:
            held.set()
            return "too many"
        except Unauthorized:
            return "wrong"
        raise AssertionError

    with ThreadPoolExecutor(40) as pool:
        answers = Counter(pool.map(enter, range(40)))
    assert most[0] <= guessing.AT_ONCE
    assert answers["too many"] > 0
    assert answers.total() == 40
