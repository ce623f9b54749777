"""`drls status`: what is active, how it ran last, and drift."""

from __future__ import annotations

import dagster as dg
import pytest

from drls_dagster import settings
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.settings import load_settings
from drls_dagster.tags import REFUSED_TAG
from lifecycle.domain.environment import Environment
from lifecycle.errors import NotFound
from lifecycle.usecases.context import Context
from lifecycle.usecases.loaded import setting_name
from lifecycle.usecases.parts.rounds import Round
from lifecycle.usecases.reconcile import reconcile
from tests.drls_dagster.cli.lifecycle.shell import Shell
from tests.lifecycle.life import SETUP


@dg.op
def nothing() -> None:
    pass


@dg.job
def flights() -> None:
    nothing()


def test_where_nothing_is_active_it_says_what_to_do(shell: Shell) -> None:
    assert "Nothing is active in UAT; save a version with drls pipeline save" in shell("status", "uat", by="vic").out


def test_a_version_is_shown_with_its_last_run(local: Shell) -> None:
    local.save()
    instance = instance_of(load_settings(local.home))
    for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE):
        tags = {"drls/pipeline": "flights", "drls/environment": "development"}
        last = instance.create_run_for_job(flights, tags=tags, status=status)
    (row,) = local("status", "--json", by="vic").json["active"]
    assert (row["environment"], row["pipeline"], row["version"]) == ("development", "flights", 1)
    assert (row["last_run"]["run_id"], row["last_run"]["state"]) == (last.run_id, "failure")
    assert "failure" in local("status", by="vic").out


def test_a_run_that_the_gate_refused_is_not_how_a_version_ran_last(local: Shell) -> None:
    local.save()
    instance = instance_of(load_settings(local.home))
    tags = {"drls/pipeline": "flights", "drls/environment": "development"}
    refused = {**tags, REFUSED_TAG: "true"}
    instance.create_run_for_job(flights, tags=refused, status=dg.DagsterRunStatus.FAILURE)
    (row,) = local("status", "--json", by="vic").json["active"]
    assert row["last_run"] is None
    ran = instance.create_run_for_job(flights, tags=tags, status=dg.DagsterRunStatus.SUCCESS)
    instance.create_run_for_job(flights, tags=refused, status=dg.DagsterRunStatus.FAILURE)
    (row,) = local("status", "--json", by="vic").json["active"]
    assert (row["last_run"]["run_id"], row["last_run"]["state"]) == (ran.run_id, "success")


def test_beyond_development_the_last_run_is_one_of_the_active_version(local: Shell) -> None:
    """F14; failed on 0.1.0: a run of the version before was shown, and the plan said otherwise."""
    local.save()
    local("promote", "flights@1", "--to", "qa", by="ada")
    (row,) = local("status", "qa", "--json", by="vic").json["active"]
    instance = instance_of(load_settings(local.home))
    tags = {"drls/pipeline": "flights", "drls/environment": "qa"}
    own = {**tags, "drls/version": row["digest"]}
    ran = instance.create_run_for_job(flights, tags=own, status=dg.DagsterRunStatus.SUCCESS)
    other = {**tags, "drls/version": "sha256:" + "0" * 64}
    instance.create_run_for_job(flights, tags=other, status=dg.DagsterRunStatus.FAILURE)
    (row,) = local("status", "qa", "--json", by="vic").json["active"]
    assert (row["last_run"]["run_id"], row["last_run"]["state"]) == (ran.run_id, "success")


def test_l15_a_foreign_write_is_shown_at_the_store_and_at_a_server(shell: Shell) -> None:
    shell.save()
    shell("promote", "flights@1", "--to", "qa", by="ada")
    shell.run_in(Environment.QA)
    found = shell.plane.commit("flights.daily", "qa")
    with shell.store() as store:
        reconcile(Context(store, shell.plane, shell.dagster, shell.clock, "test"), SETUP)
        with store.read() as view:
            assert [one.found for one in view.runs.open_drifts()] == [found]
    rows = shell("status", "qa", "--json", by="vic").json["active"]
    assert [row["drift"] for row in rows] == [["qa of flights.daily was written by others (drift 1)"]]


def test_what_could_not_be_handled_is_shown_at_the_store_and_at_a_server(shell: Shell) -> None:
    """Finding 16: an item that fails is shown where people look, not only in a sensor's tick."""
    shell.save()
    with shell.store() as store:
        ctx = Context(store, shell.plane, shell.dagster, shell.clock, "test")
        work = Round(ctx, SETUP, "drift")
        with work.item("table:flights.daily", "looking for drift in QA", "flights"):
            raise NotFound("flights.daily is gone")
        work.close()
    line = "table flights.daily: looking for drift in QA failed: flights.daily is gone"
    assert line in shell("status", by="vic").out
    (trouble,) = shell("status", "--json", by="vic").json["troubles"]
    assert (trouble["item"], trouble["kind"], trouble["pipeline"]) == ("table:flights.daily", "refusal", "flights")


def test_status_says_where_pipeline_code_has_no_fence(local: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    fenced = local("status", "--json").json["fence"]["kind"] != "none"
    assert ("Pipeline code has no fence" in local("status").out) is not fenced
    monkeypatch.setenv("DRLS_FENCE__MODE", "off")
    settings._load.cache_clear()
    line = "Pipeline code has no fence on this machine: fence.mode is off: pipeline code acts as the account"
    assert line in local("status").out
    assert local("status", "--json").json["fence"]["kind"] == "none"


@pytest.mark.parametrize(
    ("loaded", "told"), [({}, ["it is not loaded"]), ({"flights": "sha256:0"}, ["another version is loaded"])]
)
def test_l15_what_is_loaded_and_not_what_is_deployed_is_shown(
    local: Shell, loaded: dict[str, str], told: list[str]
) -> None:
    local.save()
    with local.store() as store, store.write(SETUP, "setup") as unit:
        unit.settings.put(setting_name(Environment.DEVELOPMENT), {"loaded": loaded})
        unit.audit("location.loaded", "location:development")
    (row,) = local("status", "--json").json["active"]
    assert row["drift"] == told
