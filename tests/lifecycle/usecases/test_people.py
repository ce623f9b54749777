"""Accounts, sign-in, tokens, grants: secure from the first start (A1, A2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import jwt
import pytest
from argon2 import PasswordHasher

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.people import ScopeKind, WayIn
from lifecycle.errors import Conflict, Forbidden, Invalid, TooMany, Unauthorized
from lifecycle.store.store import Store
from lifecycle.usecases.accounts import add_person, disable_person, set_password
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.context import Context
from lifecycle.usecases.first_start import FirstStart, first_start
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.sign_in import ACCOUNT_FAILURES, HOST_FAILURES, sign_in, sign_out, use_link
from lifecycle.usecases.signed_tokens import rotate_secret, sign_token
from lifecycle.usecases.tokens import issue_token, list_tokens, revoke_token
from tests.fakes.clock import FakeClock
from tests.fakes.orchestrator import FakeOrchestrator
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import SETUP, Life

PASSWORD = "a long enough password"


@pytest.fixture
def secured(life: Life) -> Life:
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    set_password(life.ctx, life.as_("adam"), "ada", PASSWORD)
    return life


def test_the_first_start_makes_one_admin_without_a_password(store: Store, tmp_path: Path, clock: FakeClock) -> None:
    ctx = Context(store, FakePlane(tmp_path / "p.db"), FakeOrchestrator(), clock, "test")
    kept: list[FirstStart] = []
    made = first_start(ctx, kept.append)
    assert made is not None
    assert first_start(ctx, kept.append) is None
    assert kept == [made]
    with pytest.raises(Unauthorized):
        sign_in(ctx, "admin", "", "host")
    session = use_link(ctx, made.link.secret, "host")
    with pytest.raises(Unauthorized, match="used"):
        use_link(ctx, made.link.secret, "host")
    admin = authenticate(ctx, made.token.secret, WayIn.CLI).actor
    assert authenticate(ctx, session.secret, WayIn.WEB, kind=TokenKind.SESSION).actor.person == admin.person
    assert add_person(ctx, admin, "ada").name == "ada"


def test_a_link_is_valid_for_an_hour(store: Store, tmp_path: Path, clock: FakeClock) -> None:
    ctx = Context(store, FakePlane(tmp_path / "p.db"), FakeOrchestrator(), clock, "test")
    made = first_start(ctx, lambda _: None)
    assert made is not None
    clock.advance(hours=2)
    with pytest.raises(Unauthorized):
        use_link(ctx, made.link.secret, "host")


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


def test_guessing_locks_the_account_for_a_while(secured: Life) -> None:
    for _ in range(ACCOUNT_FAILURES):
        with pytest.raises(Unauthorized, match="account or password is wrong"):
            sign_in(secured.ctx, "ada", "wrong wrong wrong", "host")
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "host")
    secured.clock.advance(minutes=16)
    assert sign_in(secured.ctx, "ada", PASSWORD, "host").secret


def test_who_signs_in_locks_nobody_out_however_often(secured: Life) -> None:
    for _ in range(HOST_FAILURES + 1):
        assert sign_in(secured.ctx, "ada", PASSWORD, "proxy").secret


def test_guessing_at_many_accounts_locks_the_host_whoever_signs_in_there_between(secured: Life) -> None:
    for number in range(HOST_FAILURES):
        with pytest.raises(Unauthorized):
            sign_in(secured.ctx, f"account-{number}", PASSWORD, "host")
        if number % 10 == 0:
            sign_in(secured.ctx, "ada", PASSWORD, "host")
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "host")
    assert sign_in(secured.ctx, "ada", PASSWORD, "another host").secret


def test_a_success_forgives_the_failures_before_it_and_none_after(secured: Life) -> None:
    for wrong in (ACCOUNT_FAILURES - 1, ACCOUNT_FAILURES):
        for _ in range(wrong):
            with pytest.raises(Unauthorized):
                sign_in(secured.ctx, "ada", "wrong wrong wrong", "host")
        if wrong < ACCOUNT_FAILURES:
            sign_in(secured.ctx, "ada", PASSWORD, "host")
    with pytest.raises(TooMany):
        sign_in(secured.ctx, "ada", PASSWORD, "host")


def test_unknown_accounts_are_refused_in_the_same_words(secured: Life) -> None:
    with pytest.raises(Unauthorized, match="account or password is wrong"):
        sign_in(secured.ctx, "nobody", PASSWORD, "host")


def test_a_new_password_ends_every_session(secured: Life) -> None:
    session = sign_in(secured.ctx, "ada", PASSWORD, "host")
    set_password(secured.ctx, secured.as_("ada"), "ada", PASSWORD + "!")
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, session.secret, WayIn.WEB, kind=TokenKind.SESSION)
    with pytest.raises(Invalid, match="at least 12"):
        set_password(secured.ctx, secured.as_("ada"), "ada", "short")
    with pytest.raises(Forbidden):
        set_password(secured.ctx, secured.as_("eve"), "ada", PASSWORD)


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_no_session_begins_with_what_was_valid_before(secured: Life, change: str) -> None:
    class Slow(PasswordHasher):
        """Somebody is quicker than the comparison of the password."""

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            found = super().verify(hash, password)
            if change == "password":
                set_password(secured.ctx, secured.as_("ada"), "ada", PASSWORD + "!")
            else:
                disable_person(secured.ctx, secured.as_("adam"), "ada")
            return found

    slow = replace(secured.ctx, passwords=Slow(time_cost=1, memory_cost=8, parallelism=1))
    with pytest.raises(Unauthorized, match="account or password is wrong"):
        sign_in(slow, "ada", PASSWORD, "host")
    with secured.store.read() as view:
        assert not view.people.tokens(secured.person("ada"))


def test_signing_out_ends_the_session(secured: Life) -> None:
    session = sign_in(secured.ctx, "ada", PASSWORD, "host")
    sign_out(secured.ctx, session.secret, "host")
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, session.secret, WayIn.WEB, kind=TokenKind.SESSION)


def test_tokens_expire_and_can_be_revoked(secured: Life) -> None:
    ada = secured.as_("ada")
    issued = [
        issue_token(secured.ctx, ada, "ci", scopes=[TokenScope.READ], life=timedelta(days=1), within=TokenScope)
        for _ in range(2)
    ]
    revoke_token(secured.ctx, ada, issued[0].id)
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, issued[0].secret, WayIn.CLI)
    assert authenticate(secured.ctx, issued[1].secret, WayIn.CLI).scopes == {TokenScope.READ}
    assert [one.id for one in list_tokens(secured.ctx, ada)] == [issued[1].id]
    secured.clock.advance(days=2)
    with pytest.raises(Unauthorized, match="expired"):
        authenticate(secured.ctx, issued[1].secret, WayIn.CLI)
    with pytest.raises(Forbidden):
        revoke_token(secured.ctx, secured.as_("eve"), issued[1].id)


def test_agents_get_no_approving_token(secured: Life) -> None:
    with pytest.raises(Forbidden, match="never approve"):
        issue_token(
            secured.ctx,
            secured.as_("adam"),
            "agent",
            scopes=[TokenScope.APPROVE],
            life=timedelta(days=1),
            within=TokenScope,
            owner="bot",
        )


def forged(life: Life, **changes: Any) -> str:
    with life.store.read() as view:
        setting = view.settings.find("jwt_secrets")
        assert setting is not None
        one = setting.value["secrets"][0]
        claims = {
            "sub": str(life.person("ada")), "aud": "drls", "iss": view.log.head().log, "iat": life.clock.now(),
            "exp": life.clock.now() + timedelta(minutes=5), "epoch": view.people.named("ada").access_epoch,
        }  # fmt: skip
    algorithm = changes.pop("algorithm", "HS256")
    secret = changes.pop("secret", one["secret"])
    given = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(given, secret if algorithm != "none" else "", algorithm=algorithm, headers={"kid": one["kid"]})


def test_a_signed_token_is_its_owner(secured: Life) -> None:
    text = sign_token(secured.ctx, secured.as_("ada"), ("read",))
    found = authenticate(secured.ctx, text, WayIn.REST)
    assert (found.actor.name, found.scopes) == ("ada", {TokenScope.READ})


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "none"}, {"aud": "other"}, {"iss": "other"}, {"secret": "x" * 64}, {"sub": "9999"},
        {"exp": 1}, {"exp": None}, {"sub": None}, {"epoch": 0}, {"epoch": None}, {"sub": "ada"}, {"algorithm": "HS512"},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_is_not_as_signed_is_refused(secured: Life, changes: dict[str, Any]) -> None:
    assert authenticate(secured.ctx, forged(secured), WayIn.REST).actor.name == "ada"
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, forged(secured, **changes), WayIn.REST)


def test_a_grant_changed_since_signing_makes_it_worthless(secured: Life) -> None:
    text = sign_token(secured.ctx, secured.as_("ada"), ("read",))
    add_team(secured.ctx, secured.as_("adam"), "risk")
    set_member(secured.ctx, secured.as_("adam"), "risk", "ada", member=True)
    with pytest.raises(Unauthorized, match="changed since"):
        authenticate(secured.ctx, text, WayIn.REST)
    text = sign_token(secured.ctx, secured.as_("ada"), ("read",))
    add_grant(secured.ctx, secured.as_("adam"), Role.LEAD, team="risk")
    with pytest.raises(Unauthorized, match="changed since"):
        authenticate(secured.ctx, text, WayIn.REST)


def test_secret_rotation_keeps_one_secret_and_forgets_older_ones(secured: Life) -> None:
    text = sign_token(secured.ctx, secured.as_("ada"), ("read",))
    for alive in (True, False):
        with secured.store.write(SETUP, "rotate") as unit:
            rotate_secret(unit)
        if alive:
            assert authenticate(secured.ctx, text, WayIn.REST)
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, text, WayIn.REST)


def test_a_disabled_account_is_nobody(secured: Life) -> None:
    issued = issue_token(
        secured.ctx, secured.as_("ada"), "ci", scopes=[TokenScope.READ], life=timedelta(days=1), within=TokenScope
    )
    disable_person(secured.ctx, secured.as_("adam"), "ada")
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, issued.secret, WayIn.CLI)
    with pytest.raises(Unauthorized):
        secured.save()


def test_the_last_admin_stays(secured: Life) -> None:
    with pytest.raises(Conflict, match="last Admin"):
        disable_person(secured.ctx, secured.as_("adam"), "adam")
    with secured.store.read() as view:
        (grant,) = [one for one in view.people.all_grants() if one.role is Role.ADMIN]
    with pytest.raises(Conflict, match="last Admin"):
        revoke_grant(secured.ctx, secured.as_("adam"), grant.id)


def test_a2_a_teams_grant_counts_for_its_members_on_its_scope(secured: Life) -> None:
    adam = secured.as_("adam")
    add_team(secured.ctx, adam, "risk")
    add_grant(secured.ctx, adam, Role.DATA_ENGINEER, team="risk", scope=ScopeKind.PIPELINE, scope_value="flights")
    with pytest.raises(Forbidden):
        secured.save(by="vic")
    set_member(secured.ctx, adam, "risk", "vic", member=True)
    assert secured.save(by="vic").number == 1
    set_member(secured.ctx, adam, "risk", "vic", member=False)
    with pytest.raises(Forbidden):
        secured.save(by="vic")


def test_only_admins_manage_people(secured: Life) -> None:
    for act in (
        lambda: add_person(secured.ctx, secured.as_("lea"), "x"),
        lambda: add_team(secured.ctx, secured.as_("lea"), "x"),
        lambda: add_grant(secured.ctx, secured.as_("lea"), Role.ADMIN, person="lea"),
    ):
        with pytest.raises(Forbidden, match="needs the role Admin"):
            act()
