"""Passwords and the sessions that they begin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from argon2 import PasswordHasher

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import WayIn
from lifecycle.errors import Forbidden, Invalid, TooMany, Unauthorized
from lifecycle.usecases.accounts import disable_person, set_password
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.change_password import change_password
from lifecycle.usecases.parts.guessing import QUICK
from lifecycle.usecases.parts.signed_tokens import sign_token
from lifecycle.usecases.sign_in import sign_in, sign_out
from lifecycle.usecases.tokens import issue_token
from tests.lifecycle.life import Life
from tests.lifecycle.usecases.signing_in import PASSWORD, with_session, with_token


def test_secrets_are_kept_as_hashes_only(secured: Life) -> None:
    issued = issue_token(
        secured.ctx, secured.as_("ada"), "ci", scopes=[TokenScope.READ], life=timedelta(days=1), within=TokenScope
    )
    with secured.store.read() as view:
        everything = str(list(view.log.entries())) + str(view.people.tokens(secured.person("ada")))
        assert view.people.named("ada").password_hash.startswith("$argon2id$")  # type: ignore[union-attr]
    assert issued.secret not in everything
    assert PASSWORD not in everything


@pytest.mark.parametrize("password", ["", "nobody has this password"])
def test_an_account_without_a_password_cannot_sign_in_with_any(secured: Life, password: str) -> None:
    for name in ("vic", "adam", "nobody at all"):
        with pytest.raises(Unauthorized):
            sign_in(secured.ctx, name, password, "host")


def test_unknown_accounts_are_refused_in_the_same_words(secured: Life) -> None:
    with pytest.raises(Unauthorized, match="wrong account name or password"):
        sign_in(secured.ctx, "nobody", PASSWORD, "host")


def test_a_new_password_ends_every_session(secured: Life) -> None:
    session = sign_in(secured.ctx, "ada", PASSWORD, "host")
    set_password(secured.ctx, secured.as_("adam"), "ada", PASSWORD + "!")
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, session.secret, WayIn.WEB, kind=TokenKind.SESSION)
    with pytest.raises(Invalid, match="at least 12"):
        set_password(secured.ctx, secured.as_("adam"), "ada", "short")
    with pytest.raises(Forbidden):
        set_password(secured.ctx, secured.as_("eve"), "ada", PASSWORD)


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_no_session_begins_with_what_was_valid_before(secured: Life, change: str) -> None:
    class Slow(PasswordHasher):
        """Somebody is quicker than the comparison of the password."""

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            found = super().verify(hash, password)
            if change == "password":
                set_password(secured.ctx, secured.as_("adam"), "ada", PASSWORD + "!")
            else:
                disable_person(secured.ctx, secured.as_("adam"), "ada")
            return found

    slow = replace(secured.ctx, passwords=Slow(time_cost=1, memory_cost=8, parallelism=1))
    with pytest.raises(Unauthorized, match="wrong account name or password"):
        sign_in(slow, "ada", PASSWORD, "host")
    with secured.store.read() as view:
        assert not view.people.tokens(secured.person("ada"))


def test_signing_out_ends_the_session(secured: Life) -> None:
    session = sign_in(secured.ctx, "ada", PASSWORD, "host")
    sign_out(secured.ctx, session.secret, "host")
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, session.secret, WayIn.WEB, kind=TokenKind.SESSION)


def test_changing_a_password_takes_a_session_and_the_old_one(secured: Life) -> None:
    """Finding 12; failed on 0.1.0: a token for reading and writing changed it and then signed in with every scope."""
    fresh = "another long password"
    signed = authenticate(
        secured.ctx, sign_token(secured.ctx, with_session(secured), tuple(TokenScope)).text, WayIn.REST
    ).actor
    for actor in (with_token(secured), signed, secured.as_("ada")):
        with pytest.raises(Forbidden, match="not a token"):
            change_password(secured.ctx, actor, PASSWORD, fresh)
    with pytest.raises(Forbidden, match="your own password"):
        set_password(secured.ctx, secured.as_("adam"), "adam", fresh)
    session = with_session(secured)
    for wrong in (None, "", "wrong wrong wrong"):
        with pytest.raises(Unauthorized, match="current password"):
            change_password(secured.ctx, session, wrong, fresh)
    new = change_password(secured.ctx, session, PASSWORD, fresh)
    assert authenticate(secured.ctx, new.secret, WayIn.WEB, kind=TokenKind.SESSION).actor.name == "ada"
    with pytest.raises(Unauthorized):
        change_password(secured.ctx, session, fresh, PASSWORD)
    assert sign_in(secured.ctx, "ada", fresh, "host").secret


def test_who_guesses_at_the_old_password_in_a_session_waits(secured: Life) -> None:
    session, other = with_session(secured), with_session(secured)
    for _ in range(QUICK):
        with pytest.raises(Unauthorized, match="current password is wrong"):
            change_password(secured.ctx, session, "wrong wrong wrong", "another long password")
    with pytest.raises(TooMany):
        change_password(secured.ctx, session, PASSWORD, "another long password")
    assert change_password(secured.ctx, other, PASSWORD, "another long password")


def test_a_first_password_takes_a_session_or_the_whole_token_of_who_owns_the_files(secured: Life) -> None:
    for narrow, way_in in ((TokenScope.ADMIN, WayIn.CLI), (None, WayIn.REST)):
        scopes = (narrow,) if narrow else tuple(TokenScope)
        actor = with_token(secured, "adam", *scopes).model_copy(update={"way_in": way_in})
        with pytest.raises(Forbidden, match="not a token"):
            change_password(secured.ctx, actor, None, PASSWORD)
    whole = with_token(secured, "adam").model_copy(update={"way_in": WayIn.CLI})
    change_password(secured.ctx, whole, None, PASSWORD)
    assert sign_in(secured.ctx, "adam", PASSWORD, "host").secret
