"""Accounts, sign-in, tokens, grants: secure from the first start (A1, A2)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import ScopeKind, WayIn
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Forbidden, Unauthorized
from lifecycle.store.store import Store
from lifecycle.usecases.accounts import add_person, disable_person
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.context import Context
from lifecycle.usecases.first_start import FirstStart, first_start
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.sign_in import sign_in, use_link
from lifecycle.usecases.tokens import issue_token
from tests.fakes.clock import FakeClock
from tests.fakes.orchestrator import FakeOrchestrator
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import Life


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
