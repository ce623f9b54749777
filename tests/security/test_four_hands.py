"""Four eyes are not one pair of hands: who gave an account a credential counts as its owner (L6).

Finding 11: the attacks of an Admin, who may add accounts, set passwords, issue tokens and make sign-in links, and of a
saver who drops the real author by saving on an older version. Each attack succeeded on 0.1.0.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import Actor, PersonKind, WayIn
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Version
from lifecycle.errors import Forbidden, Refused
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.accounts import add_person, set_password
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.grants import add_grant
from lifecycle.usecases.issue_link import issue_link
from lifecycle.usecases.openid_accounts import link_person
from lifecycle.usecases.parts.counting import said
from lifecycle.usecases.pending import may_decide, pending_ids
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.save_version import save_version
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.sign_in import use_link
from lifecycle.usecases.tokens import issue_token, revoke_token
from tests.lifecycle.life import QA, SETUP, UAT, Life, make_spec

PASSWORD = "correct horse battery"


def ready(life: Life, by: str, spec: PipelineSpec | None = None, **options: Any) -> Version:
    version = life.save(spec, by=by, **options)
    life.to_qa(version, by=by)
    life.run(version, QA)
    return version


def own_password(life: Life, name: str) -> None:
    """As its owner does; how they prove themselves is not the matter here."""
    life.clock.advance(minutes=1)
    with life.store.write(life.as_(name), "change_password") as unit:
        unit.people.change(life.person(name), password_hash="of their own")
        for token in unit.people.tokens(life.person(name)):
            unit.people.end_token(token)
        unit.audit("password.set", f"person:{name}")


def refused(life: Life, request: Promotion, by: str, why: str) -> None:
    """Not in any list, and refused by name."""
    with life.store.read() as view:
        assert by not in may_decide(view, view.promotions.get(request.id))
        assert request.id not in pending_ids(view, life.as_(by))
    with pytest.raises(Forbidden, match=why):
        life.approve(request, by)


def test_l6_an_admin_cannot_approve_what_their_service_account_saved_and_asked_for(life: Life) -> None:
    adam = life.as_("adam")
    add_person(life.ctx, adam, "robot", kind=PersonKind.SERVICE, acts_for="ada")
    add_grant(life.ctx, adam, Role.DATA_ENGINEER, person="robot")
    scopes = (TokenScope.READ, TokenScope.WRITE)
    token = issue_token(
        life.ctx, adam, "ci", scopes=scopes, life=timedelta(days=30), within=tuple(TokenScope), owner="robot"
    )
    robot = authenticate(life.ctx, token.secret, WayIn.REST).actor
    version = save_version(life.ctx, robot, make_spec())
    life.to_qa(version)
    life.run(version, QA)
    request = request_promotion(life.ctx, robot, "flights", 1, UAT)
    refused(life, request, "adam", "adam contributed")
    advice = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, UAT).advice
    assert (advice.may_approve, "contributed" in advice.may_not["adam"]) == (("lea", "leo"), True)
    life.clock.advance(minutes=1)
    # The token is revoked: what was done with it stays done with it.
    revoke_token(life.ctx, adam, token.id)
    refused(life, request, "adam", "adam contributed")
    assert life.approve(request, "leo").state is State.DONE


def test_l6_a_token_that_ended_before_the_work_says_nothing(life: Life) -> None:
    adam = life.as_("adam")
    scopes = (TokenScope.WRITE,)
    issue_token(life.ctx, adam, "ci", scopes=scopes, life=timedelta(days=1), within=tuple(TokenScope), owner="bot")
    life.clock.advance(days=2)
    version = save_version(life.ctx, life.as_("bot"), make_spec())
    life.to_qa(version)
    life.run(version, QA)
    assert life.approve(life.ask(version, UAT), "adam").state is State.DONE


def give_password(life: Life) -> None:
    set_password(life.ctx, life.as_("adam"), "lea", PASSWORD)


def give_link(life: Life) -> None:
    issue_link(life.ctx, life.as_("adam"), "lea")


def give_subject(life: Life) -> None:
    life.clock.advance(minutes=1)
    link_person(life.ctx, life.as_("adam"), "lea", "https://id.example.org|7")


GIVEN: list[tuple[Callable[[Life], None], str]] = [
    (give_password, "adam, who contributed to what request .* would release, set the password of lea on .*ask leo"),
    (give_link, "made a sign-in link for lea"),
    (give_subject, "linked lea to an OpenID Connect account"),
]


@pytest.mark.parametrize(("give", "why"), GIVEN, ids=[one.__name__ for one, _ in GIVEN])
def test_l6_an_admin_cannot_approve_own_work_through_an_account_they_got_hold_of(
    life: Life, give: Callable[[Life], None], why: str
) -> None:
    version = ready(life, "adam")
    request = life.ask(version, UAT, by="adam")
    give(life)
    refused(life, request, "lea", why)
    assert life.approve(request, "leo").state is State.DONE


@pytest.mark.parametrize(("give", "why"), GIVEN[:2], ids=[one.__name__ for one, _ in GIVEN[:2]])
def test_l6_what_was_given_before_the_work_counts_while_it_works(
    life: Life, give: Callable[[Life], None], why: str
) -> None:
    give(life)
    request = life.ask(ready(life, "adam"), UAT, by="adam")
    refused(life, request, "lea", why)


def test_l6_a_password_that_its_owner_replaced_before_the_work_says_nothing(life: Life) -> None:
    give_password(life)
    own_password(life, "lea")
    life.clock.advance(minutes=1)
    request = life.ask(ready(life, "adam"), UAT, by="adam")
    assert life.approve(request, "lea").state is State.DONE


def test_l6_replacing_it_after_the_work_began_does_not_help(life: Life) -> None:
    give_password(life)
    version = ready(life, "adam")
    own_password(life, "lea")
    life.clock.advance(minutes=1)
    refused(life, life.ask(version, UAT, by="adam"), "lea", "set the password of lea")


def test_l6_a_token_from_a_session_of_such_a_link_is_in_the_same_hands(life: Life) -> None:
    link = issue_link(life.ctx, life.as_("adam"), "lea")
    session = authenticate(
        life.ctx, use_link(life.ctx, link.secret, "laptop").secret, WayIn.WEB, kind=TokenKind.SESSION
    ).actor
    everything = tuple(TokenScope)
    issue_token(life.ctx, session, "mine", scopes=everything, life=timedelta(days=90), within=everything)
    life.clock.advance(days=10)  # The link and the session are long over.
    request = life.ask(ready(life, "adam"), UAT, by="adam")
    refused(life, request, "lea", "made a sign-in link for lea")


def test_l6_a_new_account_of_the_admins_making_is_no_second_person(life: Life) -> None:
    request = life.ask(ready(life, "adam"), UAT, by="adam")
    adam = life.as_("adam")
    made = add_person(life.ctx, adam, "zoe", email="zoe@example.org", email_verified=True)
    add_grant(life.ctx, adam, Role.LEAD, person="zoe")
    set_password(life.ctx, adam, "zoe", PASSWORD)
    zoe = Actor(person=made.id, name="zoe", way_in=WayIn.WEB)
    with pytest.raises(Forbidden, match="set the password of zoe"):
        approve_promotion(life.ctx, zoe, request.id, request.plan_digest)


def test_l6_it_holds_through_another_admin(life: Life) -> None:
    life.add_person("eva", Role.ADMIN)
    set_password(life.ctx, life.as_("eva"), "adam", PASSWORD)
    set_password(life.ctx, life.as_("adam"), "lea", PASSWORD)
    request = life.ask(ready(life, "eva"), UAT, by="eva")
    refused(life, request, "lea", "eva, who contributed")
    refused(life, request, "adam", "eva, who contributed")


def test_l6_two_accounts_in_one_pair_of_hands_are_one_of_two(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum="2 LeadDataEngineer"))
    request = life.ask(ready(life, "ada"), UAT)
    for name in ("lea", "leo"):
        set_password(life.ctx, life.as_("adam"), name, PASSWORD)
        assert life.approve(request, name).state is State.REQUESTED
    assert life.approve(request, "adam").state is State.REQUESTED
    with life.store.read() as view:
        told = said(view, view.promotions.get(request.id))
    assert [one.one_with for one in told] == [("leo", "adam"), ("lea", "adam"), ("lea", "leo")]
    life.add_person("lou", Role.LEAD)
    assert life.approve(request, "lou").state is State.DONE


def test_l6_a_request_that_only_one_pair_of_hands_could_approve_is_refused(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum="2 LeadDataEngineer"))
    for name in ("lea", "leo"):
        set_password(life.ctx, life.as_("adam"), name, PASSWORD)
    with pytest.raises(Refused, match=r"not enough people can approve .*adam, lea, leo count as one person"):
        life.ask(ready(life, "ada"), UAT)


def test_l6_an_approval_from_before_an_account_was_taken_over_counts(life: Life) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum="2 LeadDataEngineer"))
    life.add_person("lou", Role.LEAD)
    request = life.ask(ready(life, "adam"), UAT, by="adam")
    life.approve(request, "lea")
    life.clock.advance(minutes=1)
    set_password(life.ctx, life.as_("adam"), "lea", PASSWORD)
    assert life.approve(request, "leo").state is State.DONE


def changed(spec: PipelineSpec, sql: str) -> PipelineSpec:
    nodes = [node.model_copy(update={"sql": sql}) if node.id == "delays" else node for node in spec.nodes]
    return spec.model_copy(update={"nodes": tuple(nodes)})


COPIES: dict[str, Callable[[PipelineSpec], PipelineSpec]] = {
    "another description": lambda spec: spec.model_copy(update={"description": "mine"}),
    "blanks and comments": lambda spec: changed(spec, "SELECT  *\tFROM raw LIMIT 7 /* hers */"),
    "a line more": lambda spec: changed(spec, "SELECT * FROM raw LIMIT 7\nUNION ALL SELECT * FROM raw"),
    "other case": lambda spec: changed(spec, "select * from RAW limit 7"),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_l6_saving_on_an_older_version_does_not_drop_the_real_author(
    life: Life, copy: Callable[[PipelineSpec], PipelineSpec]
) -> None:
    life.to_uat(life.save(make_spec(rows=1), by="ada"))
    mine = make_spec(rows=7)
    life.save(mine, by="leo")
    request = life.ask(ready(life, "lea", copy(mine), on=1), UAT, by="lea")
    refused(life, request, "leo", "leo contributed")
    assert life.approve(request, "adam").state is State.DONE


def test_l6_who_wrote_something_else_past_the_chain_did_not_contribute(life: Life) -> None:
    life.to_uat(life.save(make_spec(rows=1), by="ada"))
    life.save(make_spec(rows=7), by="leo")
    request = life.ask(ready(life, "lea", make_spec(rows=8), on=1), UAT, by="lea")
    assert life.approve(request, "leo").state is State.DONE


def test_l6_content_that_the_target_has_already_is_nobodys_new_work(life: Life) -> None:
    life.to_uat(life.save(make_spec(rows=1), by="leo"), by="lea")
    life.save(make_spec(rows=1, tables=("flights.daily",)), by="leo")
    request = life.ask(ready(life, "ada", make_spec(rows=2), on=1), UAT)
    assert life.approve(request, "leo").state is State.DONE


def test_l6_nothing_changes_where_nobody_gave_anybody_anything(life: Life) -> None:
    with life.store.write(SETUP, "setup") as unit:
        unit.people.change(life.person("lea"), password_hash="set at the first start")
        unit.audit("password.set", "person:lea")
    with life.store.read() as view:
        assert view.people.hands() == {}
    request = life.ask(ready(life, "adam"), UAT, by="adam")
    assert life.approve(request, "lea").state is State.DONE
