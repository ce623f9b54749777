"""Who may decide what: asked for one person and all requests at once, and for one request and everybody."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.four_eyes import accounts_behind, contributor_identities
from lifecycle.domain.people import Person, PersonKind
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.domain.version import Contribution
from lifecycle.errors import DrlsError
from lifecycle.usecases.accounts import set_password
from lifecycle.usecases.issue_link import issue_link
from lifecycle.usecases.pending import may_decide, pending_for, pending_ids
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.tokens import issue_token
from tests.lifecycle.life import PRODUCTION, QA, SETUP, UAT, Life, make_spec
from tests.sql_statements import statements_of

WRITERS = ("ada", "eve", "lea", "leo", "bot", "twin")


def grant(life: Life, name: str, scope: str, value: str, role: str = "LeadDataEngineer") -> None:
    with life.store.write(SETUP, "grant") as unit:
        unit.people.add_grant(
            person_id=life.person(name), team_id=None, role=role, scope=scope, scope_value=value, granted_by=None,
            revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", f"person:{name}")


def crowd(life: Life) -> None:
    """Two accounts of one person, people with grants on one pipeline, on a tag, on both; somebody who left."""
    life.add_person("twin", None, email="lea@example.org")
    grant(life, "twin", "everything", "")
    for name, scopes in {
        "pam": [("pipeline", "hotels"), ("pipeline", "cars")],
        "tag": [("tag", "team=drive")],
        "both": [("tag", "team=drive"), ("pipeline", "flights")],
    }.items():
        life.add_person(name, None)
        for scope, value in scopes:
            grant(life, name, scope, value)
    grant(life, "eve", "pipeline", "flights")
    life.add_person("gone", None, disabled_at=life.clock.now())
    grant(life, "gone", "everything", "")


def some_years(life: Life, chance: random.Random) -> None:
    """Versions of several people on top of each other, requests of several people, some of them decided."""
    for name in ("flights", "hotels", "cars"):
        for rows in range(1, chance.randint(2, 4)):
            if chance.random() < 0.3:
                give(life, chance)
            tags = chance.choice(({"team": "drive"}, {}))
            version = life.save(make_spec(name, rows=rows, tags=tags), by=chance.choice(WRITERS))
            if chance.random() < 0.3:
                continue
            life.to_qa(version, name, chance.choice(WRITERS))
            life.run(version, QA, name)
            asked = ask(life, chance, name, version, UAT)
            if asked and chance.random() < 0.6 and decide(life, chance, asked) is State.DONE:
                life.run(version, UAT, name)
                ask(life, chance, name, version, PRODUCTION)


def give(life: Life, chance: random.Random) -> None:
    """An Admin, or somebody's Admin, gives somebody a credential; a while later it may have ended."""
    life.clock.advance(hours=chance.choice((0, 1, 20)))
    name, adam = chance.choice(WRITERS), life.as_("adam")
    if name == "bot":
        scopes = (TokenScope.WRITE,)
        issue_token(life.ctx, adam, "ci", scopes=scopes, life=timedelta(hours=9), within=scopes, owner="bot")
    elif chance.random() < 0.5:
        issue_link(life.ctx, adam, name)
    else:
        set_password(life.ctx, adam, name, "correct horse battery")


def ask(life: Life, chance: random.Random, name: str, version: Any, target: Any) -> Promotion | None:
    try:
        return life.ask(version, target, by=chance.choice(WRITERS), name=name)
    except DrlsError:
        return None  # Nobody could approve it.


def decide(life: Life, chance: random.Random, asked: Promotion) -> State:
    with life.store.read() as view:
        able = may_decide(view, asked)
    return life.approve(asked, by=chance.choice(able)).state


@pytest.mark.parametrize("seed", range(6))
def test_l6_badge_list_and_page_agree_for_everybody(life: Life, seed: int) -> None:
    chance = random.Random(seed)
    crowd(life)
    quorum, solo = chance.choice((("2 LeadDataEngineer", "required"), ("1 LeadDataEngineer", "solo")))
    if seed % 2:
        set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum=quorum, approvals=solo))
    some_years(life, chance)
    with life.store.read() as view:
        waiting = view.promotions.list(states=[State.REQUESTED])
        assert waiting
        able = {one.id: may_decide(view, one) for one in reversed(waiting)}
        for person in view.people.all():
            expected = [one for one, names in able.items() if person.name in names]
            assert list(pending_ids(view, life.as_(person.name))) == expected, person.name
            assert [one.id for one in pending_for(view, life.as_(person.name))] == expected


def waiting_copies(life: Life, of: Promotion, count: int) -> None:
    """As many more requests like this one."""
    values = of.model_dump(exclude={"id", "revision", "outcome", "pinned", "plan", "requested_at"})
    with life.store.write(SETUP, "copies") as unit:
        for _ in range(count):
            unit.promotions.add(**{**values, "plan": of.plan.model_dump(mode="json")})
        unit.audit("copies", "installation:1")


@pytest.mark.parametrize("name", ["lea", "ada", "pam", "tag", "both", "vic"])
def test_it_asks_as_little_for_hundreds_as_for_two(life: Life, name: str) -> None:
    crowd(life)
    for pipeline, by in (("flights", "ada"), ("cars", "eve")):
        version = life.save(make_spec(pipeline, tags={"team": "drive"}), by=by)
        life.to_qa(version, pipeline)
        life.run(version, QA, pipeline)
        life.ask(version, UAT, by=by, name=pipeline)
    with statements_of(life.store.engine) as said:

        def asked() -> tuple[int, int]:
            life.forget()
            said.clear()
            with life.store.read() as view:
                found = pending_ids(view, life.as_(name))
            return len(said), len(found)

        asked()  # The first look at a definition reads its tags.
        few, before = asked()
        with life.store.read() as view:
            first = view.promotions.list(states=[State.REQUESTED])[-1]
        waiting_copies(life, first, 300)
        many, after = asked()
    assert many == few
    assert few <= 14
    assert after - before in (0, 300)


PEOPLE = st.lists(
    st.tuples(st.sampled_from(["a@x.org", "B@x.org", "b@x.org", None]), st.booleans(), st.integers(1, 6) | st.none()),
    min_size=1,
    max_size=6,
)


@given(PEOPLE, st.integers(1, 7) | st.none(), st.integers(1, 7) | st.none())
def test_l6_whose_a_contribution_is_reads_the_same_from_both_ends(
    given_people: list[tuple[str | None, bool, int | None]], person: int | None, acted_for: int | None
) -> None:
    people = {
        number: Person(
            id=number, name=f"p{number}", kind=PersonKind.HUMAN, display_name="", email=email, email_verified=verified,
            password_hash=None, subject=None, acts_for=acts_for, access_epoch=1, disabled_at=None,
            created_at="2026-01-01T00:00:00Z",  # pyright: ignore[reportArgumentType]
        )
        for number, (email, verified, acts_for) in enumerate(given_people, 1)
    }  # fmt: skip
    done = Contribution(version_id=1, parent_id=None, person=person, acted_for=acted_for)
    found = contributor_identities([done], people)
    for one in people.values():
        mine = accounts_behind(one.identity, people.values())
        assert (one.identity in found) == bool(mine & {person, acted_for})
