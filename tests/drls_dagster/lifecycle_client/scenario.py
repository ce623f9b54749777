"""One life that calls every verb that changes or asks something, and arguments for every verb that only looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.evolution import AddColumn
from lifecycle.domain.notebooks import NotebookState
from lifecycle.domain.operations import OperationKind, OperationState
from lifecycle.domain.people import PersonKind, ScopeKind
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import State, Verdict
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Version
from lifecycle.errors import Conflict, Refused
from lifecycle.spec import canonical_json
from lifecycle.usecases.loaded import record_loaded
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.set_receivers import Receiver
from lifecycle.verbs import (
    audit,
    catalog,
    environments,
    evolution,
    installation,
    maintenance,
    notebooks,
    people,
    pipelines,
    promotions,
    runs,
    tables,
)
from lifecycle.verbs.verb import Verb
from tests.drls_dagster.lifecycle_client.conftest import World
from tests.drls_dagster.maintenance.toy import WAITS
from tests.iceberg_tables import make_table
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, make_spec

PASSWORD = "correct horse battery"
NOTEBOOK = Path(__file__).parents[3] / "examples/notebooks/late_days.py"

# For each verb that only looks, its arguments in the world that `live` leaves.
LOOKS: dict[Verb[..., Any], Mapping[str, Any]] = {
    pipelines.list_pipelines: {},
    pipelines.newest: {"name": "flights"},
    pipelines.version: {"name": "flights", "number": 1},
    pipelines.versions: {"name": "flights"},
    pipelines.export: {"name": "flights", "number": 1},
    pipelines.diff: {"name": "flights", "number": 1, "other": 2},
    pipelines.validate: {"definition": "format_version: 1\nname: flights\nnodes: 3\n"},
    catalog.search: {"text": "s", "limit": 1000},
    catalog.about: {"name": "flights"},
    catalog.lineage: {"name": "flights.daily", "column": "day"},
    catalog.history: {"limit": 1000},
    notebooks.status: {},
    notebooks.pipeline: {"name": "late_days", "text": NOTEBOOK.read_text()},
    promotions.plan: {"name": "planes", "number": 1, "target": UAT},
    promotions.list_requests: {"limit": 1000},
    promotions.pending: {},
    promotions.unreviewed: {},
    promotions.show: {"promotion_id": 2},
    promotions.comparison: {"promotion_id": 2},
    promotions.comments: {"promotion_id": 2},
    promotions.data: {"promotion_id": 1, "table": "flights.daily"},
    environments.active: {"tables": True},
    environments.may: {"environment": QA, "pipeline": "flights", "digest": "sha256:none"},
    environments.loaded: {"environment": QA},
    environments.plan_rollback: {"environment": PRODUCTION, "pipeline": "trains"},
    runs.explain: {"run_id": "test-run-1"},
    environments.holds: {},
    environments.troubles: {},
    environments.drifts: {},
    environments.policies: {},
    environments.policy_in_force: {"environment": UAT},
    people.me: {},
    people.list_tokens: {},
    people.list_agents: {},
    people.list_people: {},
    people.list_teams: {},
    people.list_grants: {},
    tables.list_tables: {},
    tables.show: {"name": "flights.daily"},
    tables.schema: {"name": "flights.daily"},
    tables.history: {"name": "flights.daily"},
    tables.preview: {"name": "flights.daily"},
    tables.query: {"sql": "SELECT count(*) AS n, max(x) AS x FROM flights.daily"},
    tables.statistics: {"name": "flights.daily"},
    tables.files: {"name": "flights.daily"},
    tables.changes: {"name": "flights.daily"},
    tables.health: {"name": "flights.daily"},
    tables.fleet: {},
    tables.health_history: {"name": "flights.daily"},
    maintenance.plan: {"kind": OperationKind.EXPIRE, "name": "lab.kept"},
    maintenance.policy: {"name": "lab.kept"},
    maintenance.list_operations: {"table": "lab.kept"},
    maintenance.show: {"operation_id": 1},
    evolution.diff: {"name": "flights.daily"},
    evolution.plan: {"name": "flights.daily", "change": AddColumn(column="y", type="long")},
    installation.config: {},
    installation.fence: {},
    audit.search: {"limit": 1000},
    audit.head: {},
    audit.rows: {},
    audit.key: {},
}


def live(world: World, way: str) -> None:
    """Saves, promotes, decides, reverts, freezes and grants, all through one way."""
    _pipelines(world, way)
    _promotions(world, way)
    _environments(world, way)
    _people(world, way)
    _maintenance(world, way)
    _evolution(world, way)
    _notebooks(world, way)


def _notebooks(world: World, way: str) -> None:
    """Neither way has a keeper of notebooks, as `drls up` has: both say the same."""
    ada = world.ask(way, "ada").notebooks
    assert ada.stop().state is NotebookState.STOPPED
    with pytest.raises(Refused, match="start drls up, and ask it"):
        ada.start()
    saved = ada.save("late_days", NOTEBOOK.read_text(), message="from a notebook")
    assert (saved.number, saved.author) == (1, "ada")
    made = ada.pipeline("late_days", NOTEBOOK.read_text())
    assert (made.checked.digest, made.checked.version) == (saved.digest, 1)


def _evolution(world: World, way: str) -> None:
    make_table("lab.cities", {"id": [1, 2], "name": ["a", "b"]}, {"id": [3], "name": ["c"]})
    lea, name = world.ask(way, "lea").evolution, "lab.cities"
    assert lea.add_column(name, "area", "int", doc="km²").done
    assert lea.alter_type(name, "area", "long").lines == ("widen column area from int to long",)
    assert lea.rename_column(name, "area", "surface").done
    assert lea.move_column(name, "surface", first=True).done
    assert lea.set_doc(name, "surface", "").done
    assert lea.set_nullable(name, "id", False).done
    assert lea.drop_column(name, "surface").done
    assert lea.add_partition(name, ("bucket(4, id)",)).done
    assert lea.replace_partition(name, "bucket(4, id)", "name").done
    assert lea.drop_partition(name, ("name",)).done
    assert lea.set_sort_order(name, ("id desc",)).done
    assert lea.set_ref(name, "kept", "tag").done
    assert lea.set_ref(name, "trial", "branch", to="kept", min_snapshots=2).done
    (first,) = lea.rollback(name, to=str(world.ask(way, "lea").tables.history(name)[-1].snapshot)).undone
    assert lea.fast_forward(name, "main", str(first)).to == first
    assert lea.drop_ref(name, "trial").done


def _pipelines(world: World, way: str) -> None:
    ada, lea = world.ask(way, "ada").pipelines, world.ask(way, "lea").pipelines
    first = ada.save(make_spec(), message="first")
    assert (first.pipeline, first.number, first.author, first.stage.value) == ("flights", 1, "ada", "development")
    second = ada.save(make_spec(rows=2), if_newest=first.digest)
    with pytest.raises(Conflict, match="newest version of flights"):
        ada.save(make_spec(rows=3), if_newest=first.digest)
    third = {"name": "flights", "definition": json.loads(canonical_json(make_spec(rows=3))), "if_newest": second.digest}
    assert ada.ask(pipelines.save_over, third).number == 3
    assert ada.import_bundle(ada.export("flights", 1)).number == 1
    assert ada.clone("flights", 1).number == 1
    ada.save(make_spec("copies"))
    assert lea.delete("copies").deleted_at is not None
    assert [one.name for one in ada.list()] == ["flights"]


def _promotions(world: World, way: str) -> None:
    ada, lea, leo = (world.ask(way, name).promotions for name in ("ada", "lea", "leo"))
    version = _version(world, 1)
    assert ada.request("flights", 1, QA).state is State.DONE
    world.life.run(version, QA)
    asked = ada.request("flights", 1, UAT, reason="season")
    assert (asked.state, asked.requested_by) == (State.REQUESTED, "ada")
    assert ada.comment(asked.id, "please").person == "ada"
    fresh = ada.refresh(asked.id)
    assert fresh.refresh_of == asked.id
    freeze = world.ask(way, "lea").environments.set_hold(HoldKind.FREEZE, UAT, "flights", reason="not now")
    approved = lea.approve(fresh.id, fresh.plan_digest, reason="right")
    assert (approved.state, approved.waiting) == (State.APPROVED, "UAT is frozen: not now")
    world.ask(way, "lea").environments.lift_hold(freeze.id)
    assert ada.execute(fresh.id).state is State.DONE
    world.life.run(version, UAT)
    asked = ada.request("flights", 1, PRODUCTION)
    assert lea.reject(asked.id, asked.plan_digest, reason="not yet").state is State.REJECTED
    asked = ada.request("flights", 1, PRODUCTION)
    assert ada.withdraw(asked.id, reason="later").state is State.WITHDRAWN
    broken = lea.break_glass("flights", 1, PRODUCTION, reason="tonight")
    assert (broken.state, broken.kind) == (State.DONE, "break-glass")
    assert leo.review(broken.id, broken.plan_digest, Verdict.APPROVE, reason="it was right").id == broken.id


def _environments(world: World, way: str) -> None:
    ada, lea, adam = (world.ask(way, name).environments for name in ("ada", "lea", "adam"))
    world.ask(way, "lea").promotions.break_glass("flights", 2, PRODUCTION, reason="again")
    back = lea.rollback("flights", reason="slow")
    assert (back.state, back.version) == (State.DONE, 1)
    for how in ("adopted", "reverted"):
        world.life.plane.commit("flights.daily", UAT.ref)
        reconcile(world.life.ctx, DAGSTER)
        (drift,) = lea.drifts()
        settled = lea.settle_drift(drift.id, "adopt" if how == "adopted" else "revert", reason="by hand")
        assert (settled.state, settled.closed_by, settled.pipeline) == (how, "lea", "flights")
    assert ada.new_session("flights", UAT).pipeline == "flights"
    assert lea.set_hold(HoldKind.STOP, QA, "flights", reason="repairs").set_by == "lea"
    assert lea.demote("flights", 1, reason="old").environment is UAT
    assert lea.retire("flights", 1, reason="old", consent=True).environment is PRODUCTION
    assert adam.set_policy(PRODUCTION, "flights", Policy(quorum="1 Admin"), if_revision=0).set_by == "adam"
    assert adam.set_policy(PRODUCTION, "flights", None).body is None


def _people(world: World, way: str) -> None:
    adam = world.ask(way, "adam")
    assert adam.people.add("zoe", email="zoe@example.org").kind is PersonKind.HUMAN
    assert adam.people.add("robot", acts_for="zoe").acts_for == "zoe"
    adam.people.set_password("zoe", PASSWORD)
    assert adam.people.link("zoe", "https://id.example.org|1").name == "zoe"
    assert adam.people.add_team("risk").members == ()
    assert adam.people.set_member("risk", "zoe", member=True).members == ("zoe",)
    assert adam.people.set_member("risk", "vic", member=True).members == ("vic", "zoe")
    assert adam.people.set_member("risk", "vic", member=False).members == ("zoe",)
    granted = adam.people.grant(Role.VIEWER, team="risk", scope=ScopeKind.PIPELINE, scope_value="flights")
    assert granted.team == "risk"
    other = adam.people.grant(Role.VIEWER, person="zoe")
    assert adam.people.revoke_grant(other.id).id == other.id
    life = timedelta(days=2)
    token = adam.people.issue_token("mine", scopes=[TokenScope.READ], life=life)
    assert adam.people.revoke_token(token.id).name == "mine"
    service = adam.people.issue_token("robot's", scopes=[TokenScope.READ], life=life, owner="robot")
    assert service.scopes == (TokenScope.READ,)
    assert adam.people.signed_token().expires_in > 0
    assert adam.people.agent_token("claude").expires_in > 0
    both = [TokenScope.READ, TokenScope.WRITE]
    assert adam.people.issue_agent_token("robbie", scopes=both, life=life, unattended=True).name == "robbie"
    assert adam.people.end_agent("robbie").ended_at is not None
    assert [one.account for one in adam.people.agents()] == ["claude.adam", "robbie.adam"]
    assert adam.people.disable("robot").disabled_at is not None
    config = adam.installation.config()
    adam.installation.set_config(receivers=(Receiver(address="mailto:a@example.org"),), if_revision=config.revision)
    with pytest.raises(Conflict):
        adam.installation.set_config(receivers=(), if_revision=config.revision)


def _maintenance(world: World, way: str) -> None:
    make_table("lab.kept", {"x": [1]})
    ask = world.ask(way, "lea").maintenance
    done = [
        ask.compact("lab.kept", min_files=2, every_file=True),
        ask.manifests("lab.kept", target_bytes=1_000),
        ask.expire("lab.kept", retain_last=1, refs=("main",)),
        ask.orphans("lab.kept", older_than_hours=1.5, dry_run=False),
        ask.vacuum("lab.kept", options={"expire": {"retain_last": 2}}),
    ]
    assert [one.kind for one in done] == list(OperationKind)
    assert [one.options["older_than"] for one in done if "dry_run" in one.options] == ["PT1H30M"]
    assert {one.state for one in done} == {OperationState.DONE}
    plan = ask.plan(OperationKind.MANIFESTS, "lab.kept", options={"target_bytes": WAITS})
    waits = ask.manifests("lab.kept", target_bytes=WAITS, plan=plan.digest)
    with pytest.raises(Conflict, match="is running on"):
        ask.expire("lab.kept")
    assert ask.cancel(waits.id).state is OperationState.CANCELLED
    assert [one.id for one in ask.list(states=(OperationState.CANCELLED,))] == [waits.id]


def furnish(world: World) -> None:
    """What is left to see after `live`: something of each kind that waits, or is not settled."""
    life = world.life
    make_table("flights.daily", {"x": [1.5, float("nan"), None]})
    for rows in (1, 2):
        _to_production(world, life.save(make_spec("trains", rows)))
    planes = life.save(make_spec("planes"))
    life.to_qa(planes, "planes")
    life.run(planes, QA, "planes")
    asked = life.ask(planes, UAT, name="planes")
    life.plane.commit("trains.daily")
    reconcile(life.ctx, DAGSTER)
    with life.store.write(SETUP, "furnish") as unit:
        record_loaded(unit, QA, {"planes": planes.digest})
        trouble = {"item": f"promotion:{asked.id}", "doing": "executing", "error": "no answer", "kind": "outage"}
        unit.settings.put("troubles:requests", {"items": [{**trouble, "pipeline": "planes"}]})
        unit.audit("furnished", "installation:1")


def _to_production(world: World, version: Version) -> None:
    life = world.life
    life.to_qa(version, "trains")
    life.run(version, QA, "trains")
    life.approve(life.ask(version, UAT, name="trains"))
    life.run(version, UAT, "trains")
    life.approve(life.ask(version, PRODUCTION, name="trains"))


def _version(world: World, number: int) -> Version:
    with world.life.store.read() as view:
        return view.pipelines.numbered(view.pipelines.named("flights"), number)
