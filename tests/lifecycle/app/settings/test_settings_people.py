"""People and teams: accounts, roles, ways to sign in."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.people import Target, WayIn
from lifecycle.domain.roles import Role
from lifecycle.usecases.authenticate import authenticate
from tests.lifecycle.app.visit import PASSWORD, Visit
from tests.lifecycle.life import SETUP, Life

Open = Callable[[str | None], Visit]
SCRIPT = "<script>alert(1)</script>"


def role(life: Life, name: str, target: Target) -> Role | None:
    with life.store.read() as view:
        return view.people.standing(view.people.named(name), target).role


def test_the_index_shows_what_one_may_do(visit: Open) -> None:
    ada, adam = visit("ada").page("/settings"), visit("adam").page("/settings")
    for admins in ("/settings/people", "/settings/notifications", "/audit"):
        assert f'href="{admins}"' not in ada.partition("<main")[2]
        assert f'href="{admins}"' in adam.partition("<main")[2]
    for everybodys in ("/profile", "/settings/policies"):
        assert f'href="{everybodys}"' in ada.partition("<main")[2]


def test_everybody_is_listed_with_roles_and_teams_and_can_be_found(visit: Open, life: Life) -> None:
    adam = visit("adam")
    adam.post("/settings/teams", name="risk")
    adam.post("/settings/teams/risk/members", name="vic")
    adam.post("/settings/teams/risk/grants", role="LeadDataEngineer", scope="tag", scope_value="domain=risk")
    page = adam.page("/settings/people")
    assert "service for ada" in page
    assert 'LeadDataEngineer <span class="muted">on pipelines tagged domain=risk (risk)' in page
    found = adam.page("/settings/people?q=vic")
    assert "1 account<" in found
    assert 'people/ada"' not in found
    assert "No account matches" in adam.page("/settings/people?q=zzz")
    assert role(life, "vic", Target(pipeline="x", tags={"domain": "risk"})) is Role.LEAD


def test_somebody_new_is_added_granted_and_signs_in_by_a_link(visit: Open, life: Life) -> None:
    adam = visit("adam")
    answer = adam.post("/settings/people", name="max", display_name="Max M", email="max@example.org", verified="true")
    assert answer.headers["location"] == "/settings/people/max"
    assert "it can do nothing" in adam.page("/settings/people/max").replace("this account can", "it can").lower()
    adam.post("/settings/people/max/grants", role="DataEngineer", scope="everything")
    assert role(life, "max", Target()) is Role.DATA_ENGINEER
    made = adam.post("/settings/people/max/link")
    assert made.status_code == 200
    (secret,) = set(re.findall(r"/sign-in#(drls_link_[\w-]+)", made.text))
    assert secret not in adam.page("/settings/people/max")
    assert "shown only once" in adam.said("/settings/people/max/link")
    nobody = visit(None)
    assert nobody.client.post("/sign-in/link", data={"secret": secret}).status_code == 303
    assert "Max M" in nobody.page("/profile")


def test_two_clicks_are_one_account_and_one_grant(visit: Open, life: Life) -> None:
    adam = visit("adam")
    for _ in range(2):
        assert adam.post("/settings/people", name="max").status_code == 303
        assert adam.post("/settings/people/max/grants", role="Viewer").status_code == 303
    with life.store.read() as view:
        assert len(view.people.grants(view.people.named("max").id)) == 1
        assert len(view.log.search(verb="person.added", subject="person:max")) == 1


@pytest.mark.parametrize(
    ("path", "fields", "told"),
    [
        ("/settings/people", {"name": SCRIPT}, "is not a valid account name"),
        ("/settings/people", {"name": ".."}, "is not a valid account name"),
        ("/settings/people", {"name": "ada"}, "already"),
        ("/settings/people", {"name": "x", "email": "nobody"}, "is not an email address"),
        ("/settings/people", {"name": "x", "acts_for": "nobody"}, "no account"),
        ("/settings/teams", {"name": ".."}, "is not a valid team name"),
        ("/settings/teams", {"name": SCRIPT}, "is not a valid team name"),
        ("/settings/people/ada/grants", {"role": "King"}, "role"),
        ("/settings/people/ada/grants", {"role": "Viewer", "scope": "tag", "scope_value": SCRIPT + "x"}, "not a tag"),
        ("/settings/people/ada/grants", {"role": "Viewer", "scope": "pipeline"}, "needs the pipeline"),
        ("/settings/people/ada/subject", {"subject": "248289"}, "issuer|subject"),
        ("/settings/people/ada/password", {"password": "short"}, "at least 12"),
        ("/settings/people/bot/password", {"password": PASSWORD}, "service account"),
        ("/settings/people/bot/link", {}, "service account"),
        ("/settings/people/bot/tokens", {"name": "x", "scopes": "approve"}, "never approve"),
        ("/settings/people/ada/tokens", {"name": "x", "scopes": "read"}, "must issue their own"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    visit: Open, life: Life, path: str, fields: dict[str, str], told: str
) -> None:
    adam = visit("adam")
    with life.store.read() as view:
        before = view.log.head().sequence
    said = adam.said(path, **fields)
    assert told in said
    assert SCRIPT not in said
    with life.store.read() as view:
        assert view.log.head().sequence == before


def test_the_last_admin_stays(visit: Open, life: Life) -> None:
    adam = visit("adam")
    page = adam.page("/settings/people/adam/disable")
    assert "this is the last Admin" in page
    assert re.search(r'<button class="danger" type="submit" disabled>', page)
    assert "this is the last Admin" in adam.said("/settings/people/adam/disable")
    with life.store.read() as view:
        (grant,) = view.people.grants(life.person("adam"))
    assert "this is the last Admin" in adam.said(f"/settings/grants/{grant.id}/revoke")
    adam.post("/settings/people/lea/grants", role="Admin")
    assert "there is another Admin" in adam.page("/settings/people/adam/disable")
    assert adam.post("/settings/people/adam/disable").status_code == 303
    assert adam.get("/").status_code == 303


def test_a_grant_is_taken_away_and_a_member_leaves(visit: Open, life: Life) -> None:
    adam = visit("adam")
    with life.store.read() as view:
        (grant,) = view.people.grants(life.person("ada"))
    assert adam.post(f"/settings/grants/{grant.id}/revoke").headers["location"] == "/settings/people/ada"
    assert role(life, "ada", Target()) is None
    adam.post("/settings/teams", name="risk")
    adam.post("/settings/teams/risk/members", name="ada")
    assert 'people/ada"' in adam.page("/settings/teams/risk").partition("<main")[2]
    adam.post("/settings/teams/risk/members/ada/remove")
    with life.store.read() as view:
        assert view.people.team_names(life.person("ada")) == ()


def test_disabling_ends_sessions_and_shows_what_ends(visit: Open) -> None:
    eve, adam = visit("eve"), visit("adam")
    page = adam.page("/settings/people/eve/disable")
    assert "1 sessions and 0 tokens of eve end immediately" in page
    assert "bot" in adam.page("/settings/people/ada/disable")
    assert adam.post("/settings/people/eve/disable").status_code == 303
    assert eve.get("/").status_code == 303
    assert "disabled</span>" in adam.page("/settings/people/eve")


def test_a_service_account_gets_a_token_that_is_shown_once(visit: Open, life: Life) -> None:
    adam = visit("adam")
    made = adam.post("/settings/people/bot/tokens", name="agent", scopes=["read", "write"], days="7")
    (secret,) = set(re.findall(r"drls_personal_[\w-]+", made.text))
    identity = authenticate(life.ctx, secret, WayIn.REST)
    assert (identity.actor.name, identity.scopes) == ("bot", {TokenScope.READ, TokenScope.WRITE})
    page = adam.page("/settings/people/bot")
    assert secret not in page
    token = identity.actor.token
    assert adam.post(f"/settings/people/bot/tokens/{token}/revoke").status_code == 303
    assert (
        "agent" not in adam.page("/settings/people/bot").partition("Tokens and sessions")[2].partition("New token")[0]
    )


def test_a_password_set_by_an_admin_ends_the_sessions(visit: Open) -> None:
    eve, adam = visit("eve"), visit("adam")
    assert adam.post("/settings/people/eve/password", password="quite another password").status_code == 303
    assert eve.get("/").status_code == 303


def test_names_and_addresses_are_only_text(visit: Open, life: Life) -> None:
    life.add_person("mal", Role.VIEWER, display_name=SCRIPT, email=f"{SCRIPT}@x.org", subject=f"https://x|{SCRIPT}")
    with life.store.write(SETUP, "raw") as unit:
        # What no form lets in, an import of old might: pages escape it all the same.
        team = unit.people.add_team(SCRIPT)
        unit.people.set_member(team.id, life.person("mal"), member=True)
        unit.audit("team.added", "team:x")
    adam = visit("adam")
    for path in (
        "/settings/people",
        "/settings/people/mal",
        "/settings/people/mal/disable",
        f"/settings/people?q={SCRIPT}",
    ):
        page = adam.page(path)
        assert SCRIPT not in page, path
    assert SCRIPT not in visit("mal").page("/profile")


def test_a_thousand_accounts_are_listed_in_pages_with_few_queries(visit: Open, life: Life) -> None:
    with life.store.write(SETUP, "many") as unit:
        for number in range(1_000):
            unit.people.add(
                name=f"p{number:04}", kind="human", display_name=f"P {number}", email=None, email_verified=False,
                password_hash=None, subject=None, acts_for=None, disabled_at=None,
            )  # fmt: skip
        unit.audit("person.added", "person:many")
    adam = visit("adam")
    first = adam.page("/settings/people")
    assert first.count('href="/settings/people/p') == 94
    assert "p0094" in adam.page("/settings/people?page=2")
