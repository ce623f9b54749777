"""Code locations of what is deployed: each environment its own, what is broken is seen and harms nobody."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from drls_dagster.dagster_private.loading import DefinitionsLoadContext, DefinitionsLoadType
from drls_dagster.dagster_private.tried import (
    CodeLocationReconstructionMetadataValue,
    RepositoryLoadData,
    create_execution_plan,
    snapshot_from_execution_plan,
)
from drls_dagster.gate.built_versions import pipelines_of_this_run
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.locations.deployed import load_environment
from drls_dagster.locations.versions import load_deployed
from drls_dagster.private_home import make_private
from drls_dagster.settings import load_settings
from drls_dagster.tags import MAINTENANCE
from lifecycle.audit import load_signing_key
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.domain.version import Label, Version
from lifecycle.ports import SystemClock
from lifecycle.spec import PipelineSpec, canonical_json, digest
from lifecycle.spec.writing import dump_yaml
from lifecycle.store.store import Store
from lifecycle.usecases.parts.activation import activate
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import DEVELOPMENT, PRODUCTION, QA, SETUP, UAT, Life, make_spec

DAILY = {"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}}
KAFKA = {"kind": "kafka", "connection": "bus", "topic": "orders", "format": "avro"}


@pytest.fixture(scope="module")
def life(gate_home: Path) -> Iterator[Life]:
    """flights: v1 in UAT, v2 in QA, v3 in development. In production what works and what does not."""
    settings = load_settings(gate_home)
    make_private(gate_home)
    store = Store.create(store_url(settings), load_signing_key(signing_key_file(settings)), SystemClock())
    made = Life(store, gate_home, SystemClock())  # pyright: ignore[reportArgumentType]
    first = made.save(make_spec(rows=1, **DAILY))
    made.to_uat(first)
    deploy(made, "flights", made.save(make_spec(rows=2, **DAILY)), QA)
    made.save(make_spec(rows=3, **DAILY))
    _fill_production(made)
    yield made
    store.close()


def _fill_production(life: Life) -> None:
    for spec in (
        make_spec("producer", **DAILY),
        reading(make_spec("consumer_a"), "producer.daily"),
        reading(make_spec("consumer_b"), "producer.daily"),
        make_spec("tampered"),
        make_spec("unreadable"),
        make_spec("clash_a", tables=("shared.rows",)),
    ):
        deploy(life, spec.name, life.save(spec), PRODUCTION)
    # Two writers of a table, and what this release cannot run: older rules may have let them in.
    for spec in (with_source(make_spec("kafka"), KAFKA), make_spec("clash_b", tables=("shared.rows",))):
        with life.store.write(SETUP, "setup") as unit:
            pipeline = unit.pipelines.add(spec.name, life.person("ada"))
            unit.pipelines.add_version(
                pipeline, (), digest=digest(spec), parent_id=None, spec=canonical_json(spec).decode(), message="",
                origin={"kind": "saved"}, author=life.person("ada"), acted_for=None,
            )  # fmt: skip
            unit.audit("setup", f"pipeline:{spec.name}")
        deploy(life, spec.name, 1, PRODUCTION)
    with life.store.engine.begin() as connection:
        triggers = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
        for name in [name for name in triggers if "version" in name]:
            connection.execute(sa.text(f"DROP TRIGGER {name}"))
        change = sa.text("UPDATE version SET spec = replace(spec, :old, :new) WHERE instr(spec, :name) > 0")
        connection.execute(change, {"old": "LIMIT 1", "new": "LIMIT 9", "name": '"tampered"'})
    # The digest of what is there, and no pipeline of this release.
    odd = canonical_json(make_spec("unreadable")).decode().replace('"mode":"overwrite"', '"mode":"teleport"')
    with life.store.engine.begin() as connection:
        known = "sha256:" + hashlib.sha256(odd.encode()).hexdigest()
        where = "pipeline_id = (SELECT id FROM pipeline WHERE name = 'unreadable')"
        connection.execute(
            sa.text(f"UPDATE version SET spec = :spec, digest = :digest WHERE {where}"), {"spec": odd, "digest": known}
        )


def deploy(life: Life, name: str, which: Version | int, environment: Environment) -> None:
    with life.store.write(SETUP, "setup") as unit:
        pipeline = unit.pipelines.named(name)
        version = unit.pipelines.numbered(pipeline, which) if isinstance(which, int) else which
        activate(unit, pipeline, version, environment, reason="promote", label=Label.APPROVED)


def reading(spec: PipelineSpec, table: str) -> PipelineSpec:
    return with_source(spec, {"kind": "iceberg", "table": table})


def with_source(spec: PipelineSpec, source: Mapping[str, Any]) -> PipelineSpec:
    data = json.loads(canonical_json(spec))
    for node in data["nodes"]:
        if node["type"] == "source":
            node["source"] = dict(source)
    return PipelineSpec.model_validate(data)


def jobs(definitions: dg.Definitions) -> set[str]:
    return {job.name for job in definitions.get_repository_def().get_all_jobs()} - {"__ASSET_JOB", MAINTENANCE}


def versions(definitions: dg.Definitions) -> dict[str, str]:
    """By pipeline, the digest that its job was built from."""
    repository = definitions.get_repository_def()
    return {name: repository.get_job(name).tags["drls/version"] for name in jobs(definitions)}


def broken(definitions: dg.Definitions) -> dict[str, str]:
    return {
        spec.key.path[-1]: spec.description or ""
        for spec in definitions.resolve_all_asset_specs()
        if spec.key.path[1:2] == ["broken"]
    }


def test_each_location_has_only_what_is_deployed_in_its_environment(life: Life) -> None:
    for environment, rows in ((DEVELOPMENT, 3), (QA, 2), (UAT, 1)):
        found = versions(load_environment(environment, load_settings()))
        assert found["flights"] == digest(make_spec(rows=rows, **DAILY)), environment
    assert versions(load_environment(Environment.UAT, load_settings())).keys() == {"flights"}
    assert "flights" not in jobs(load_environment(Environment.PRODUCTION, load_settings()))


def test_assets_say_which_version_they_are_of_and_who_answers_for_it(life: Life) -> None:
    graph = load_environment(Environment.UAT, load_settings()).resolve_asset_graph()
    sink, view = (
        graph.get(dg.AssetKey(["uat", *path])) for path in (["lake", "flights", "daily"], ["flights", "delays"])
    )
    for node in (sink, view):
        told = dict(node.metadata)
        assert told["drls/version"] == "v1"
        assert told["drls/digest"] == digest(make_spec(rows=1, **DAILY))
        assert (told["drls/author"], told["drls/approvers"], told["drls/stage"]) == ("ada", "lea", "uat")
        assert told["drls/review"] == "approved"
        assert told["drls/approvals"].url.endswith("/pipelines/flights/versions/1")
        assert node.code_version
    assert sink.code_version != view.code_version
    other = load_environment(Environment.QA, load_settings()).resolve_asset_graph()
    assert other.get(dg.AssetKey(["qa", "flights", "delays"])).code_version != view.code_version


def test_what_is_broken_is_seen_with_its_error_and_the_others_load(life: Life) -> None:
    found = load_environment(Environment.PRODUCTION, load_settings())
    assert jobs(found) == {"producer", "consumer_a", "consumer_b"}
    told = broken(found)
    assert told.keys() == {"tampered", "unreadable", "kafka", "clash_a", "clash_b"}
    assert "v1 was changed in the database: its digest does not match" in told["tampered"]
    assert "v1 cannot be read by this release of DRLS" in told["unreadable"]
    assert "avro messages need a schema; set schema_file" in told["kafka"]
    assert "table shared.rows also belongs to 'clash_b'" in told["clash_a"]
    assert "table shared.rows also belongs to 'clash_a'" in told["clash_b"]


def test_a_producer_and_two_consumers_are_one_graph(life: Life) -> None:
    graph = load_environment(Environment.PRODUCTION, load_settings()).resolve_asset_graph()
    table = graph.get(dg.AssetKey(["production", "lake", "producer", "daily"]))
    assert table.is_executable
    readers = {dg.AssetKey(["production", name, "delays"]) for name in ("consumer_a", "consumer_b")}
    assert table.child_keys == readers


def test_a_changed_file_takes_the_saved_versions_place_in_development_and_nowhere_else(
    life: Life, gate_home: Path
) -> None:
    folder = gate_home / "pipelines"
    folder.mkdir()
    draft = make_spec(rows=4, **DAILY)
    try:
        (folder / "flights.yaml").write_text(dump_yaml(draft))
        (folder / "producer.yaml").write_text(dump_yaml(make_spec("producer", **DAILY)))  # as it is saved
        (folder / "wrong.yaml").write_text("format_version: 1\nname: wrong\n")
        found = load_environment(Environment.DEVELOPMENT, load_settings())
        assert versions(found)["flights"] == digest(draft)
        assert "wrong" in broken(found)
        graph = found.resolve_asset_graph()
        told = {
            name: graph.get(dg.AssetKey(["development", "lake", name, "daily"])).metadata["drls/version"]
            for name in ("flights", "producer")
        }
        assert told == {"flights": "draft", "producer": "v1"}
        assert versions(load_environment(Environment.QA, load_settings()))["flights"] == digest(
            make_spec(rows=2, **DAILY)
        )
        # A run that was created before the file was changed is of the saved version.
        pins = {"flights": digest(make_spec(rows=3, **DAILY))}
        (kept,) = load_deployed(Environment.DEVELOPMENT, load_settings(), pins=pins, only=["flights"])
        assert kept.spec is not None
        assert digest(kept.spec) == pins["flights"]
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_process_that_reconstructs_builds_the_version_that_was_pinned(life: Life) -> None:
    """As a run worker and a queued run have it: another one is deployed meanwhile."""
    spec = make_spec("pinned", rows=1)
    deploy(life, "pinned", life.save(spec), QA)
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)) as context:
        load_environment(Environment.QA, load_settings())
        pending = context.get_pending_reconstruction_metadata()
    deploy(life, "pinned", life.save(make_spec("pinned", rows=2)), QA)
    load_data = RepositoryLoadData(
        cacheable_asset_data={},
        reconstruction_metadata={key: CodeLocationReconstructionMetadataValue(text) for key, text in pending.items()},
    )
    again = DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION, load_data)
    with DefinitionsLoadContext.scoped(again):
        rebuilt = load_environment(Environment.QA, load_settings())
        assert versions(rebuilt)["pinned"] == digest(spec)
        # The code server builds twice: what it hands on must be the same.
        assert dict(again.get_pending_reconstruction_metadata()) == dict(pending)
    assert versions(load_environment(Environment.QA, load_settings()))["pinned"] == digest(make_spec("pinned", rows=2))


def test_a_process_started_for_one_run_builds_its_pipelines_alone(life: Life) -> None:
    whole = load_environment(Environment.PRODUCTION, load_settings())

    def core_execute_run(job: str) -> tuple[tuple[str, ...] | None, dg.Definitions]:
        """Called as Dagster's own is, with its plan at hand."""
        definition = whole.resolve_job_def(job)
        plan = create_execution_plan(definition)
        execution_plan_snapshot = snapshot_from_execution_plan(plan, definition.get_job_snapshot_id())
        assert execution_plan_snapshot.steps
        return pipelines_of_this_run(), load_environment(Environment.PRODUCTION, load_settings())

    only, found = core_execute_run("consumer_a")
    assert only == ("consumer_a",)
    assert jobs(found) == {"consumer_a"}
    assert broken(found) == {}
    assert [one.name for one in load_deployed(Environment.PRODUCTION, load_settings(), only=only)] == ["consumer_a"]
    assert not found.sensors
    everything, _ = core_execute_run("__ASSET_JOB")
    assert everything == ("consumer_a", "consumer_b", "producer")
    assert pipelines_of_this_run() is None


def test_l4_schedules_stand_still_but_where_the_policy_lets_them_run(life: Life) -> None:
    def states(environment: Environment) -> dict[str, bool]:
        found = load_environment(environment, load_settings()).get_repository_def().schedule_defs
        running = dg.DefaultScheduleStatus.RUNNING
        return {one.name: one.default_status is running for one in found if one.job_name != MAINTENANCE}

    assert states(QA) == {"flights_schedule": False}
    assert states(UAT) == {"flights_schedule": False}
    assert states(PRODUCTION) == {"producer_schedule": True}
    assert not any(states(DEVELOPMENT).values())
    adam = life.as_("adam")
    set_policy(life.ctx, adam, QA, None, Policy(schedules=True))
    set_policy(life.ctx, adam, PRODUCTION, "producer", Policy(schedules=False))
    assert states(QA) == {"flights_schedule": True}
    assert states(PRODUCTION) == {"producer_schedule": False}


def test_l4_a_tick_where_the_policy_says_no_skips_and_says_why(life: Life) -> None:
    found = load_environment(Environment.UAT, load_settings()).get_repository_def().schedule_defs
    (schedule,) = (one for one in found if one.job_name != MAINTENANCE)

    def tick() -> Any:
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_schedule_context(instance=instance, scheduled_execution_time=datetime.now(UTC)) as context,
        ):
            return schedule.evaluate_tick(context)

    assert tick().skip_message == "the policy does not run schedules in UAT; an Admin can change it"
    set_policy(life.ctx, life.as_("adam"), UAT, "flights", Policy(schedules=True))
    assert len(tick().run_requests) == 1
    set_policy(life.ctx, life.as_("adam"), UAT, "flights", None)
    assert tick().run_requests == []
