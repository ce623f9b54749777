"""Every list of the table, with more rows than a page: none of them ends early, on either way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from drls_dagster.ledger import Ledger, open_ledger
from drls_dagster.ledger.health import NewLook
from drls_dagster.ledger.operations import NewOperation
from drls_dagster.settings import load_settings
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Label, Pipeline, Version
from lifecycle.store.unit import Unit
from lifecycle.usecases.tokens import issue
from lifecycle.verbs import pipelines, promotions, tables
from lifecycle.verbs.table import ROWS
from lifecycle.verbs.verb import Verb
from tests.drls_dagster.lifecycle_client.conftest import WAYS, World
from tests.iceberg_tables import make_many_snapshots, make_many_tables
from tests.lifecycle.life import PRODUCTION, QA, SETUP, UAT, Life

MANY = 501
GIVEN: Mapping[Verb[..., Any], dict[str, Any]] = {
    pipelines.versions: {"name": "flights"},
    promotions.comments: {"promotion_id": 2},
    tables.history: {"name": "many.snapshots"},
    tables.health_history: {"name": "many.snapshots"},
}


@pytest.mark.slow
def test_no_list_ends_early(world: World) -> None:
    """A list that is new in the table fails here until `fill` has rows for it."""
    life = world.life
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    with life.store.write(SETUP, "fill") as unit:
        fill(unit, life, version, life.promotion(asked.id))
        unit.audit("filled", "installation:1")
    with life.store.write(SETUP, "audit") as unit:
        for number in range(MANY):
            unit.audit("policy.set", "environment:qa", revision=number)
    make_many_tables("many", MANY)
    make_many_snapshots("many.snapshots", MANY)
    fill_ledger(open_ledger(load_settings()))
    token = world.token("lea")
    admin = world.token("adam")
    for row in ROWS:
        if not row.verb.many:
            continue
        counts: list[int] = []
        for way in WAYS:
            client = world.with_token(way, admin if row.need.role is Role.ADMIN else token).pipelines
            found = client.ask(row.verb, GIVEN.get(row.verb, {}), everything=True)
            assert len({str(one) for one in found}) == len(found), f"{row.verb.name} gives rows twice"
            counts.append(len(found))
        assert min(counts) >= MANY, f"{row.verb.name} has {counts} rows"
        assert counts[0] == counts[1], row.verb.name


def test_a_limit_beyond_a_page_is_kept(world: World, way: str) -> None:
    with world.life.store.write(SETUP, "audit") as unit:
        for number in range(1200):
            unit.audit("noted", f"number:{number}")
    client = world.ask(way, "adam")
    assert len(client.audit.search(verb="noted", limit=1100)) == 1100
    assert len(client.audit.search(verb="noted")) == 100
    with client.audit.whole() as log:
        assert [one.sequence for one in log.entries] == list(range(1, log.head.sequence + 1))


def fill(unit: Unit, life: Life, version: Version, asked: Promotion) -> None:
    """More rows of everything than a page has: a pipeline each, with a version, a request, a release, …"""
    ada, lea = life.person("ada"), life.person("lea")
    flights = unit.pipelines.named("flights")
    for number in range(MANY):
        pipeline = unit.pipelines.add(f"p{number:03}", ada)
        saved = _version(unit, pipeline, version, f"{number}")
        _version(unit, flights, version, f"flights{number}")
        unit.deployments.start(
            QA, pipeline.id, saved.id, saved.digest, reason="saved", label=Label.FREE, by=ada, promotion_id=None
        )
        _request(unit, asked, pipeline, saved, state=State.REQUESTED.value)
        released = _request(unit, asked, pipeline, saved, state=State.DONE.value, target=PRODUCTION.value)
        unit.deployments.start(
            PRODUCTION, pipeline.id, saved.id, saved.digest, reason="promoted", label=Label.UNREVIEWED, by=ada,
            promotion_id=released.id,
        )  # fmt: skip
        unit.policies.add(UAT, pipeline.id, Policy(), lea)
        unit.policies.add_hold(HoldKind.STOP, UAT, pipeline.id, "full", lea)
        unit.runs.add_drift(
            environment=UAT.value, pipeline_id=pipeline.id, table_name=f"{pipeline.name}.daily", ref="main",
            expected=None, found=number,
        )  # fmt: skip
        unit.promotions.add_comment(asked.id, ada, f"word {number}")
        _person(unit, number, lea)
        unit.people.add(
            name=f"agent{number}", kind="agent", display_name="", email=None, email_verified=False, password_hash=None,
            subject=None, acts_for=lea, disabled_at=unit.now, agent=f"agent{number}",
        )  # fmt: skip
    items = [
        {
            "item": f"promotion:{one}",
            "doing": "executing",
            "error": "no answer",
            "kind": "outage",
            "pipeline": "flights",
        }
        for one in range(MANY)
    ]
    unit.settings.put("troubles:requests", {"items": items})


def fill_ledger(ledger: Ledger) -> None:
    """As many operations, each on a table of its own, and looks at one table."""
    began = time.time() - MANY
    looks: list[NewLook] = []
    for number in range(MANY):
        assert ledger.reserve(NewOperation("expire", f"many.{number}", "main", {}, None, None, "lea", {}))
        look = {
            "snapshot": None, "score": 100, "points": {}, "snapshot_count": number, "data_file_count": number,
            "small_file_count": 0, "delete_file_count": 0, "manifest_count": 0, "bytes": 0,
        }  # fmt: skip
        looks.append(NewLook("many.snapshots", f"{number}", "", began + number, {}, look, f"{number}"))
    ledger.keep_looks(looks, days=30)


def _version(unit: Unit, pipeline: Pipeline, like: Version, digest: str) -> Version:
    return unit.pipelines.add_version(
        pipeline, (), digest=f"sha256:{digest}", parent_id=None, spec=like.spec, message="", origin={"kind": "saved"},
        author=like.author, acted_for=None,
    )  # fmt: skip


def _request(unit: Unit, like: Promotion, pipeline: Pipeline, version: Version, **values: Any) -> Promotion:
    copied = {"target", "plan_digest", "policy_id", "requested_by", "acted_for", "reason", "expires_at"}
    given = {**like.model_dump(include=copied), "plan": like.plan.model_dump(mode="json")}
    given |= {"refresh_of": None, "approved_at": None, "pinned": False, **values}
    return unit.promotions.add(**{**given, "pipeline_id": pipeline.id, "version_id": version.id})


def _person(unit: Unit, number: int, owner: int) -> None:
    person = unit.people.add(
        name=f"person{number}", kind="human", display_name="", email=None, email_verified=False, password_hash=None,
        subject=None, acts_for=None, disabled_at=None,
    )  # fmt: skip
    unit.people.add_grant(
        person_id=person.id, team_id=None, role=Role.VIEWER.value, scope=ScopeKind.EVERYTHING.value, scope_value="",
        granted_by=owner, revoked_at=None,
    )  # fmt: skip
    unit.people.add_team(f"team{number}")
    life = timedelta(days=1)
    issue(unit, unit.people.named("lea"), TokenKind.PERSONAL, "many", scopes=(TokenScope.READ,), life=life)
