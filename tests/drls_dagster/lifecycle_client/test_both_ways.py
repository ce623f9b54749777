"""One suite for both ways to a lifecycle: the store of this process, and a server on the same store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import insert

from drls_dagster.lifecycle_client.way import Way
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.operations import OperationKind
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Verdict
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden, NotFound, Unauthorized
from lifecycle.store.tables_people import AuditRow
from lifecycle.usecases.loaded import record_loaded
from lifecycle.verbs import environments, maintenance, pipelines, promotions
from lifecycle.verbs.table import ROWS, Kind, Row
from lifecycle.verbs.verb import Verb
from tests.drls_dagster.lifecycle_client.conftest import WAYS, World
from tests.drls_dagster.lifecycle_client.scenario import LOOKS, furnish, live
from tests.lifecycle.life import QA, SETUP, UAT, make_spec

ROLES = {Role.VIEWER: "vic", Role.DATA_ENGINEER: "ada", Role.LEAD: "lea", Role.ADMIN: "adam"}
# Enough for a request to arrive where its route asks who sends it; none of them is done.
SENT: Mapping[str, Any] = {
    "name": "flights", "number": 1, "other": 1, "promotion_id": 1, "target": UAT, "environment": UAT, "hold_id": 1,
    "drift_id": 1, "token_id": 1, "grant_id": 1, "person": "vic", "team": "risk", "table": "t", "pipeline": "flights",
    "reason": "x", "plan_digest": "x", "digest": "x", "body": "x", "definition": {}, "subject": "https://a|b",
    "operation_id": 1, "sql": "SELECT 1", "password": "long enough to be one", "scopes": (TokenScope.READ,),
    "role": Role.VIEWER, "ref": "b",
}  # fmt: skip


OTHERS: Mapping[Verb[..., Any], Mapping[str, Any]] = {
    environments.set_policy: {"body": Policy()},
    promotions.review: {"verdict": Verdict.APPROVE},
    pipelines.import_bundle: {"data": b"x"},
    maintenance.plan: {"kind": OperationKind.EXPIRE},
}


def given_for(row: Row) -> dict[str, Any]:
    given = {name: SENT[name] for name in row.verb.input.model_fields if name in SENT}
    return {**given, **OTHERS.get(row.verb, {})}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[Verb[..., Any]]:
    """Every verb that is asked while the test runs."""
    found: set[Verb[..., Any]] = set()
    ask = Way.ask

    def noted(way: Way, verb: Verb[..., Any], given: Mapping[str, Any], *, everything: bool = False) -> Any:
        found.add(verb)
        return ask(way, verb, given, everything=everything)

    monkeypatch.setattr(Way, "ask", noted)
    return found


def test_every_verb_is_called_and_looks_the_same_both_ways(world: World, way: str, called: set[Verb[..., Any]]) -> None:
    """A verb of the table that no step of `live` and no line of `LOOKS` calls fails here."""
    live(world, way)
    acts = {row.verb for row in ROWS if row.kind is not Kind.READ}
    assert not [one.name for one in acts - called]
    assert not [row.verb.name for row in ROWS if row.kind is Kind.READ and row.verb not in LOOKS]
    furnish(world)
    token = world.token("adam")
    here, there = (world.with_token(one, token).pipelines for one in WAYS)
    for verb, given in LOOKS.items():
        found = here.ask(verb, given)
        assert there.ask(verb, given) == found, verb.name
        if verb.many and verb != promotions.unreviewed:
            assert found, f"{verb.name} has nothing to show: furnish the world"


def test_whoever_may_not_call_a_verb_hears_the_same_both_ways(world: World) -> None:
    world.add_somebody("nobody")
    strangers = {"none": None, "wrong": "drls_personal_wrong", "unsigned": "a.b.c"}
    narrow = {scope: world.token("adam", *(one for one in TokenScope if one is not scope)) for scope in TokenScope}
    low = {role: world.token(name) for role, name in ROLES.items()}
    nobody = world.token("nobody")
    for row in ROWS:
        for token in strangers.values():
            assert refusal(world, row, token)[0] is Unauthorized, row.verb.name
        kind, said = refusal(world, row, narrow[row.need.scope])
        assert kind is Forbidden, row.verb.name
        assert f"not for {row.need.scope.value}" in said
        if row.need.role is None:
            continue
        for token in (nobody, *(one for role, one in low.items() if not role.includes(row.need.role))):
            kind, said = refusal(world, row, token)
            assert kind is Forbidden, row.verb.name
            assert f"needs the role {row.need.role.value}" in said


def refusal(world: World, row: Row, token: str | None) -> tuple[type[Exception], str]:
    """How both ways refuse a call: alike."""
    found: list[tuple[type[Exception], str]] = []
    for way in WAYS:
        with pytest.raises((Unauthorized, Forbidden)) as raised:
            world.with_token(way, token).pipelines.ask(row.verb, given_for(row))
        found.append((raised.type, str(raised.value)))
    assert found[0] == found[1], row.verb.name
    return found[0]


def test_what_is_ones_own_needs_no_role(world: World, way: str) -> None:
    world.add_somebody("nobody")
    client = world.ask(way, "nobody")
    assert (client.people.me().name, client.people.me().roles) == ("nobody", ())
    (own,) = client.people.tokens()
    assert client.people.revoke_token(own.id).id == own.id
    with pytest.raises(Unauthorized):
        client.people.me()


def test_an_admin_of_one_pipeline_reads_neither_the_log_nor_all_grants(world: World, way: str) -> None:
    world.life.save()
    world.add_somebody("abe", Role.ADMIN, on="flights")
    client = world.ask(way, "abe")
    for ask in (client.audit.search, client.audit.rows, client.people.grants):
        with pytest.raises(Forbidden, match="needs the role Admin on this installation"):
            ask()
    with pytest.raises(Forbidden), client.audit.whole():
        pass


def test_grants_are_hidden_and_not_empty_for_whoever_may_not_see_them(world: World, way: str) -> None:
    world.ask(way, "adam").people.add_team("risk")
    assert {one.grants for one in world.ask(way, "lea").people.list()} == {None}
    assert {one.grants for one in world.ask(way, "lea").people.teams()} == {None}
    found = {one.name: one.grants for one in world.ask(way, "adam").people.list()}
    assert [one.role for one in found["lea"] or ()] == [Role.LEAD]


def test_what_a_location_loaded_is_known(world: World, way: str) -> None:
    life = world.life
    life.save()
    life.save(make_spec("trains"))
    world.add_somebody("tim", Role.VIEWER, on="trains")
    assert world.ask(way, "vic").environments.loaded(QA) is None
    with life.store.write(SETUP, "loaded") as unit:
        record_loaded(unit, QA, {"flights": "sha256:1", "trains": "sha256:2"})
        unit.audit("loaded", "environment:qa")
    assert world.ask(way, "vic").environments.loaded(QA) == {"flights": "sha256:1", "trains": "sha256:2"}
    assert world.ask(way, "tim").environments.loaded(QA) == {"trains": "sha256:2"}


def test_a_request_says_the_quorum_that_it_was_made_under(world: World, way: str) -> None:
    version = world.life.save()
    world.life.to_qa(version)
    world.life.run(version, QA)
    asked = world.life.ask(version, UAT)
    world.ask(way, "adam").environments.set_policy(UAT, None, Policy(quorum="2 LeadDataEngineer"))
    assert world.ask(way, "vic").promotions.show(asked.id).quorum == "1 LeadDataEngineer"


def test_a_missing_thing_is_not_found(world: World, way: str) -> None:
    client = world.ask(way, "vic")
    for ask in (
        lambda: client.pipelines.version("none"),
        lambda: client.pipelines.versions("none"),
        lambda: client.environments.active(pipeline="none"),
        lambda: client.promotions.list(pipeline="none"),
        lambda: client.promotions.show(7),
    ):
        with pytest.raises(NotFound):
            ask()


def test_an_entry_that_no_head_reaches_is_read_too(world: World, way: str) -> None:
    """It was put into the database by others, and `drls audit verify` must see it."""
    client = world.ask(way, "adam")
    with client.audit.whole() as log:
        entries = list(log.entries)
    assert entries[-1].sequence == log.head.sequence
    beyond = {"sequence": log.head.sequence + 1, "previous": log.head.hash, "hash": "0" * 64}
    with world.life.store.engine.begin() as connection:
        connection.execute(insert(AuditRow).values(**entries[-1].model_copy(update=beyond).model_dump()))
    with client.audit.whole() as log:
        assert [one.sequence for one in log.entries][-1] == log.head.sequence + 1


def test_entries_written_while_the_log_is_read_belong_to_a_later_head(world: World, way: str) -> None:
    client = world.ask(way, "adam")
    with client.audit.whole() as log:
        world.life.save()
        assert [one.sequence for one in log.entries][-1] == log.head.sequence


def test_who_sees_one_pipeline_pages_to_its_end(world: World, way: str) -> None:
    """What others may see is not counted: a list ends where there is no more."""
    for number in range(12):
        world.life.save(make_spec(f"p{number:02}"))
        world.life.to_qa(world.life.save(make_spec(f"p{number:02}", rows=2)), f"p{number:02}")
    world.add_somebody("tim", Role.VIEWER, on="p00")
    client = world.ask(way, "tim")
    assert [one.pipeline for one in client.promotions.list(limit=5)] == ["p00"]
    assert [one.name for one in client.pipelines.list()] == ["p00"]
    assert len(world.ask(way, "vic").promotions.list(limit=5)) == 5
