"""An agent acts for one person, with that person's rights as they are now, and never approves (A8, L6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import Actor, Person, PersonKind, ScopeKind, Target, WayIn
from lifecycle.domain.promotion import State, Verdict
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Forbidden, Invalid, LifecycleError, Unauthorized
from lifecycle.usecases.accounts import add_person, disable_person, set_password
from lifecycle.usecases.agents import MOST, agent_token, end_agent, issue_agent_token, list_agents
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.authenticate import Identity, authenticate
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.change_password import change_password
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.issue_link import issue_link
from lifecycle.usecases.openid_accounts import link_person
from lifecycle.usecases.parts.signed_tokens import sign_token
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.review_release import review_release
from lifecycle.usecases.save_version import save_version
from lifecycle.usecases.sign_in import sign_in, use_link
from lifecycle.usecases.tokens import issue, issue_token, list_tokens, revoke_token
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from tests.lifecycle.life import PRODUCTION, QA, SETUP, UAT, Life, make_spec
from tests.lifecycle.usecases.signing_in import PASSWORD, with_session, with_token

BOTH = (TokenScope.READ, TokenScope.WRITE)
DAY = timedelta(days=1)


def acting(life: Life, person: str = "ada", agent: str = "claude", *scopes: TokenScope) -> Identity:
    """An agent with a token of 15 minutes."""
    made = with_token(life, person, *scopes)
    text = agent_token(life.ctx, made, agent, scopes or tuple(TokenScope)).text
    return authenticate(life.ctx, text, WayIn.REST)


def long_lived(life: Life, maker: Actor, agent: str = "claude", unattended: bool = False) -> str:
    made = issue_agent_token(life.ctx, maker, agent, scopes=BOTH, life=DAY, within=TokenScope, unattended=unattended)
    return made.secret


def account(life: Life, name: str) -> Person:
    with life.store.read() as view:
        return view.people.named(name)


def ready(life: Life, actor: Actor, rows: int = 1) -> int:
    """A version that `actor` saved and that has run in QA."""
    version = save_version(life.ctx, actor, make_spec(rows=rows))
    life.to_qa(version, by="eve")
    life.run(version, QA)
    return version.number


def test_a8_an_agent_is_an_account_of_its_person_made_on_demand(secured: Life) -> None:
    first, second = acting(secured), acting(secured)
    assert first.actor.person == second.actor.person
    assert (first.actor.name, first.actor.acts_for, first.agent) == ("claude.ada", "ada", True)
    assert first.scopes == {TokenScope.READ, TokenScope.WRITE}
    found = account(secured, "claude.ada")
    assert (found.kind, found.acts_for, found.agent) == (PersonKind.AGENT, secured.person("ada"), "claude")
    assert (found.password_hash, found.email, found.subject) == (None, None, None)
    assert acting(secured, "eve").actor.name == "claude.eve"
    with secured.store.read() as view:
        assert view.log.head().sequence
        assert [one.name for one in view.people.agents(secured.person("ada"))] == ["claude.ada"]


def test_a8_a_name_that_somebody_has_is_not_taken_over(secured: Life) -> None:
    secured.add_person("claude.ada", Role.ADMIN)
    found = acting(secured).actor
    assert (found.name, found.acts_for) == ("claude.ada-2", "ada")
    assert acting(secured).actor.person == found.person


@pytest.mark.parametrize("name", ["Claude", "", "-x", "a.b", "a" * 33, "cl aude", "../x"])
def test_an_agent_has_a_plain_name(secured: Life, name: str) -> None:
    with pytest.raises(Invalid, match="agent name"):
        agent_token(secured.ctx, with_token(secured), name, BOTH)


def test_a_person_has_so_many_agents(secured: Life) -> None:
    ada = with_token(secured)
    for number in range(MOST):
        agent_token(secured.ctx, ada, f"a{number}", BOTH)
    with pytest.raises(Conflict, match="end one first"):
        agent_token(secured.ctx, ada, "one-more", BOTH)
    end_agent(secured.ctx, ada, "a0")
    assert agent_token(secured.ctx, ada, "one-more", BOTH).seconds > 0


def test_a8_its_rights_are_those_of_its_person_as_they_are_now(secured: Life) -> None:
    agent = acting(secured, "vic")
    adam = secured.as_("adam")

    def role(target: Target) -> Role | None:
        with secured.store.read() as view:
            person = view.people.named("claude.vic")
            found = view.people.standing(person, target).role
            everybody = {one.name: standing for one, standing in view.people.standings(target)}
            assert everybody["claude.vic"].role == found == everybody["vic"].role
            assert everybody["claude.vic"].teams == everybody["vic"].teams == view.people.team_names(person.id)
            return found

    assert role(Target()) is Role.VIEWER
    granted = add_grant(secured.ctx, adam, Role.LEAD, person="vic", scope=ScopeKind.PIPELINE, scope_value="flights")
    assert (role(Target()), role(Target(pipeline="flights"))) == (Role.VIEWER, Role.LEAD)
    revoke_grant(secured.ctx, adam, granted.id)
    add_team(secured.ctx, adam, "risk")
    add_grant(secured.ctx, adam, Role.DATA_ENGINEER, team="risk")
    set_member(secured.ctx, adam, "risk", "vic", member=True)
    assert role(Target()) is Role.DATA_ENGINEER
    with pytest.raises(Unauthorized, match="changed since"):
        authenticate(secured.ctx, _text(secured, agent), WayIn.REST)


def _text(life: Life, agent: Identity) -> str:
    """A token as this agent had it when its person's rights were others."""
    made = with_token(life, "vic")
    text = agent_token(life.ctx, made, "claude", BOTH).text
    set_member(life.ctx, life.as_("adam"), "risk", "vic", member=False)
    assert agent.agent
    return text


def test_a8_an_agent_holds_nothing_of_its_own(secured: Life) -> None:
    acting(secured)
    adam = secured.as_("adam")
    add_team(secured.ctx, adam, "risk")
    with pytest.raises(Invalid, match=r"claude.ada may do what ada may; change ada"):
        add_grant(secured.ctx, adam, Role.VIEWER, person="claude.ada")
    with pytest.raises(Invalid, match="agents do not join teams"):
        set_member(secured.ctx, adam, "risk", "claude.ada", member=True)
    with pytest.raises(Invalid, match="made by the person"):
        add_person(secured.ctx, adam, "made.up", kind=PersonKind.AGENT, acts_for="ada")
    with pytest.raises(Invalid, match="is not a person"):
        add_person(secured.ctx, adam, "chained", kind=PersonKind.SERVICE, acts_for="claude.ada")
    with pytest.raises(Forbidden, match="nobody signs in as it"):
        set_password(secured.ctx, adam, "claude.ada", PASSWORD)
    with pytest.raises(Forbidden, match="nobody signs in as it"):
        issue_link(secured.ctx, adam, "claude.ada")
    with pytest.raises(Forbidden, match="nobody signs in as it"):
        link_person(secured.ctx, adam, "claude.ada", "https://id.example.org|1")
    with pytest.raises(Forbidden, match="only its person issues tokens"):
        issue_token(secured.ctx, adam, "x", scopes=[TokenScope.READ], life=DAY, within=TokenScope, owner="claude.ada")


def test_a8_a_session_or_a_link_of_an_agent_lets_nobody_in(secured: Life) -> None:
    """Whoever writes such a row into the store gets no further."""
    acting(secured)
    with secured.store.write(SETUP, "forge") as unit:
        agent = unit.people.named("claude.ada")
        session = issue(unit, agent, TokenKind.SESSION, "x", scopes=tuple(TokenScope), life=DAY)
        link = issue(unit, agent, TokenKind.LINK, "x", scopes=tuple(TokenScope), life=DAY)
    with pytest.raises(Unauthorized, match="only people have sessions"):
        authenticate(secured.ctx, session.secret, WayIn.WEB, kind=TokenKind.SESSION)
    with pytest.raises(Forbidden, match="nobody signs in"):
        use_link(secured.ctx, link.secret, "host")


@pytest.mark.parametrize("scope", [TokenScope.APPROVE, TokenScope.ADMIN])
def test_a8_no_token_of_an_agent_is_for_approving_or_administration(secured: Life, scope: TokenScope) -> None:
    adam = with_token(secured, "adam")
    with pytest.raises(Forbidden, match="read and write at most"):
        issue_agent_token(secured.ctx, adam, "claude", scopes=[scope], life=DAY, within=TokenScope)
    assert acting(secured, "adam").scopes == set(BOTH)
    # Stripped again, whatever somebody wrote into the store.
    with secured.store.write(SETUP, "forge") as unit:
        agent = unit.people.named("claude.adam")
        forged = issue(unit, agent, TokenKind.PERSONAL, "x", scopes=(TokenScope.READ, scope), life=DAY)
    assert authenticate(secured.ctx, forged.secret, WayIn.CLI).scopes == {TokenScope.READ}


def test_a8_the_scopes_are_no_wider_than_what_its_person_showed(secured: Life) -> None:
    assert acting(secured, "ada", "claude", TokenScope.READ).scopes == {TokenScope.READ}
    assert acting(secured, "adam", "claude", TokenScope.APPROVE, TokenScope.WRITE).scopes == {TokenScope.WRITE}
    reader = with_token(secured, "ada", TokenScope.READ)
    with pytest.raises(Forbidden, match="yours does not have: write"):
        issue_agent_token(secured.ctx, reader, "claude", scopes=BOTH, life=DAY, within=[TokenScope.READ])


def test_a8_a_token_of_an_agent_ends_with_what_it_was_made_with(secured: Life) -> None:
    token, session = with_token(secured), with_session(secured)
    texts = [agent_token(secured.ctx, one, "claude", BOTH).text for one in (token, session)]
    for text in texts:
        assert authenticate(secured.ctx, text, WayIn.REST).actor.name == "claude.ada"
    for one in (token, session):
        revoke_token(secured.ctx, secured.as_("ada"), one.token or 0)
    for text in texts:
        with pytest.raises(Unauthorized, match="has ended"):
            authenticate(secured.ctx, text, WayIn.REST)
    with pytest.raises(Unauthorized):
        agent_token(secured.ctx, token, "claude", BOTH)


def test_a8_it_lasts_fifteen_minutes_and_renews_nothing(secured: Life) -> None:
    ada = with_token(secured)
    text = agent_token(secured.ctx, ada, "claude", BOTH).text
    agent = authenticate(secured.ctx, text, WayIn.REST)
    for other in (agent.actor, authenticate(secured.ctx, long_lived(secured, ada), WayIn.MCP).actor):
        with pytest.raises(Forbidden):
            agent_token(secured.ctx, other, "claude", BOTH)
        with pytest.raises(Forbidden):
            issue_agent_token(secured.ctx, other, "other", scopes=BOTH, life=DAY, within=BOTH)
        with pytest.raises(Forbidden):
            issue_token(secured.ctx, other, "x", scopes=BOTH, life=DAY, within=BOTH)
        with pytest.raises(Forbidden):
            sign_token(secured.ctx, other, ("read",))
        with pytest.raises(Forbidden):
            change_password(secured.ctx, other, PASSWORD, f"{PASSWORD} of mine")
    signed = authenticate(secured.ctx, sign_token(secured.ctx, ada, ("read",)).text, WayIn.REST)
    with pytest.raises(Forbidden, match="not with another signed token"):
        agent_token(secured.ctx, signed.actor, "claude", BOTH)
    secured.clock.advance(minutes=16)
    with pytest.raises(Unauthorized, match="expired"):
        authenticate(secured.ctx, text, WayIn.REST)


def test_a8_services_and_the_system_have_no_agents(secured: Life) -> None:
    with pytest.raises(Forbidden, match=r"bot is a service account.*; ada can issue .*: drls token issue --agent NAME"):
        agent_token(secured.ctx, secured.as_("bot"), "claude", BOTH)
    with pytest.raises(Unauthorized):
        agent_token(secured.ctx, SETUP, "claude", BOTH)


def test_a8_an_agent_is_nobody_without_its_person(secured: Life) -> None:
    secret = long_lived(secured, secured.as_("ada"))
    signed = agent_token(secured.ctx, with_token(secured), "claude", BOTH).text
    agent = authenticate(secured.ctx, secret, WayIn.MCP).actor
    disable_person(secured.ctx, secured.as_("adam"), "ada")
    for one in (secret, signed):
        with pytest.raises(Unauthorized):
            authenticate(secured.ctx, one, WayIn.MCP)
    with secured.store.read() as view:
        assert view.people.grants(agent.person or 0) == ()
        standings = {person.name: standing.role for person, standing in view.people.standings(Target())}
        assert standings["claude.ada"] is None
    secured.save(by="eve")
    with pytest.raises(Unauthorized, match=r"the account ada, for whom claude.ada acts, is disabled"):
        request_promotion(secured.ctx, agent, "flights", 1, QA)


def test_a8_a_new_password_ends_what_the_agents_have(secured: Life) -> None:
    secret = long_lived(secured, with_session(secured))
    change_password(secured.ctx, with_session(secured), PASSWORD, f"{PASSWORD} of mine")
    with pytest.raises(Unauthorized):
        authenticate(secured.ctx, secret, WayIn.MCP)


def test_a8_a_long_token_is_revoked_by_its_person_and_by_admins_and_ends_with_its_maker(secured: Life) -> None:
    ada = with_token(secured)
    secrets = [long_lived(secured, one) for one in (secured.as_("ada"), secured.as_("ada"), ada)]
    mine = [one for one in list_tokens(secured.ctx, secured.as_("ada")) if one.agent == "claude"]
    assert len(mine) == 3
    with pytest.raises(Forbidden):
        revoke_token(secured.ctx, secured.as_("eve"), mine[0].id)
    assert revoke_token(secured.ctx, secured.as_("ada"), mine[0].id).agent == "claude"
    revoke_token(secured.ctx, secured.as_("adam"), mine[1].id)
    revoke_token(secured.ctx, secured.as_("ada"), ada.token or 0)
    for secret in secrets:
        with pytest.raises(Unauthorized):
            authenticate(secured.ctx, secret, WayIn.MCP)


def test_a8_unattended_is_what_the_person_said_when_issuing(secured: Life) -> None:
    ada = secured.as_("ada")
    long_lived(secured, ada, unattended=True)
    long_lived(secured, ada)
    assert [one.unattended for one in list_tokens(secured.ctx, ada) if one.agent] == [True, False]
    with secured.store.read() as view:
        bodies = [entry.body for entry in view.log.search(verb="token.issued", limit=2)]
        assert sorted(body.get("unattended", False) for body in bodies) == [False, True]


def test_a8_an_agent_that_was_ended_acts_no_more_until_its_person_issues_it_a_token(secured: Life) -> None:
    ada = with_token(secured)
    secret, signed = long_lived(secured, secured.as_("ada")), agent_token(secured.ctx, ada, "claude", BOTH).text
    assert end_agent(secured.ctx, ada, "claude").ended_at is not None
    assert end_agent(secured.ctx, ada, "claude").tokens == ()
    for one in (secret, signed):
        with pytest.raises(Unauthorized):
            authenticate(secured.ctx, one, WayIn.MCP)
    with pytest.raises(Forbidden, match=r"claude no longer acts for ada; .*--agent claude"):
        agent_token(secured.ctx, ada, "claude", BOTH)
    fresh = long_lived(secured, secured.as_("ada"))
    assert authenticate(secured.ctx, fresh, WayIn.MCP).actor.name == "claude.ada"
    for one in (secret, signed):
        with pytest.raises(Unauthorized):
            authenticate(secured.ctx, one, WayIn.MCP)
    (mine,) = list_agents(secured.ctx, secured.as_("ada"))
    assert (mine.name, mine.account, mine.ended_at, len(mine.tokens)) == ("claude", "claude.ada", None, 1)
    assert list_agents(secured.ctx, secured.as_("eve")) == ()


def test_a8_the_log_names_agent_and_person_and_believes_only_agents_of_their_way(secured: Life) -> None:
    agent = acting(secured).coming_by("mcp")
    ready(secured, agent.actor)
    with secured.store.read() as view:
        (entry,) = view.log.search(verb="version.saved", limit=1)
    assert {name: entry.actor[name] for name in ("name", "acts_for", "way_in")} == {
        "name": "claude.ada", "acts_for": "ada", "way_in": "mcp",
    }  # fmt: skip
    ada = authenticate(secured.ctx, _personal(secured), WayIn.REST)
    assert ada.coming_by("mcp") == ada
    assert agent.coming_by("system").actor.way_in is WayIn.MCP


def _personal(life: Life) -> str:
    return issue_token(life.ctx, life.as_("ada"), "x", scopes=BOTH, life=DAY, within=TokenScope).secret


def test_l6_no_agent_approves_rejects_reviews_or_breaks_glass(secured: Life) -> None:
    lea, eve = acting(secured, "lea").actor, secured.as_("eve")
    number = ready(secured, eve)
    asked = secured.ask(secured.save(make_spec(), by="eve"), UAT, by="eve")
    for decide in (approve_promotion, reject_promotion):
        with pytest.raises(Forbidden, match=r"claude.lea is an agent; only people may do this"):
            decide(secured.ctx, lea, asked.id, asked.plan_digest, reason="so it is")
    with pytest.raises(Forbidden, match="is an agent"):
        break_glass(secured.ctx, lea, "flights", number, PRODUCTION, reason="now")
    broken = break_glass(secured.ctx, secured.as_("leo"), "flights", number, PRODUCTION, reason="now")
    with pytest.raises(LifecycleError, match="is an agent"):
        review_release(secured.ctx, lea, broken.id, broken.plan.digest, Verdict.APPROVE, reason="fine")
    advice = plan_promotion(secured.ctx, eve, "flights", number, UAT).advice
    assert "claude.lea" not in advice.may_approve
    assert "claude.lea" not in advice.may_not


@pytest.mark.parametrize("does", ["saves", "asks", "saves and asks"])
def test_l6_what_an_agent_did_for_somebody_none_of_their_accounts_approves(secured: Life, does: str) -> None:
    secured.add_person("lea2", Role.LEAD, email="LEA@example.org")
    agents = [acting(secured, "lea", name).actor for name in ("claude", "cursor")]
    number = ready(secured, agents[0] if "saves" in does else secured.as_("eve"))
    asker = agents[1] if "asks" in does else secured.as_("eve")
    asked = request_promotion(secured.ctx, asker, "flights", number, UAT)
    for name in ("lea", "lea2"):
        with pytest.raises(Forbidden, match=f"{name} contributed"):
            secured.approve(asked, name)
    assert secured.approve(asked, "leo").state is State.DONE


def test_l6_whoever_gave_a_person_a_credential_has_a_hand_in_their_agents(secured: Life) -> None:
    """Adam made Ada's sign-in link, went in with it, and issued her agent a token that outlives the session."""
    link = issue_link(secured.ctx, secured.as_("adam"), "ada")
    opened = use_link(secured.ctx, link.secret, "host")
    session = authenticate(secured.ctx, opened.secret, WayIn.WEB, kind=TokenKind.SESSION).actor
    secret = issue_agent_token(
        secured.ctx, session, "claude", scopes=BOTH, life=timedelta(days=30), within=TokenScope
    ).secret
    secured.clock.advance(days=2)
    agent = authenticate(secured.ctx, secret, WayIn.MCP).actor
    number = ready(secured, agent)
    with secured.store.read() as view:
        version = view.pipelines.numbered(view.pipelines.named("flights"), number)
    asked = secured.ask(version, UAT, by="eve")
    with pytest.raises(Forbidden, match="adam"):
        secured.approve(asked, "adam")


def test_an_agent_takes_back_what_its_person_asked_for_and_the_other_way_round(secured: Life) -> None:
    agent, number = acting(secured).actor, ready(secured, secured.as_("ada"))
    for asker, other in ((secured.as_("ada"), agent), (agent, secured.as_("ada"))):
        asked = request_promotion(secured.ctx, asker, "flights", number, UAT)
        with pytest.raises(Forbidden):
            withdraw_promotion(secured.ctx, acting(secured, "eve").actor, asked.id)
        assert withdraw_promotion(secured.ctx, other, asked.id).state is State.WITHDRAWN


def test_a_signed_in_person_is_asked_for_their_password_and_no_agent_can_sign_in(secured: Life) -> None:
    acting(secured)
    with pytest.raises(Unauthorized):
        sign_in(secured.ctx, "claude.ada", "", "host")
