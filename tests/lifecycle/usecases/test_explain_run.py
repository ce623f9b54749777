"""Why a run ended as it did, from what the orchestrator remembers and the store knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.explanation import Cause
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.roles import Role
from lifecycle.domain.run_facts import Ending, FailedCheck, RunFacts, RunPart, SourceSeen, StepFailure
from lifecycle.errors import NotFound
from lifecycle.usecases.explain_run import explain_run
from tests.lifecycle.life import SETUP, Life, make_spec

GOOD, BAD = "good-run", "bad-run"


@pytest.fixture
def digests(life: Life) -> tuple[str, str]:
    """Two versions of the pipeline `flights`; the second takes more rows."""
    first = life.save(make_spec(rows=1))
    return first.digest, life.save(make_spec(rows=2)).digest


def facts(life: Life, run_id: str, digest: str, **more: Any) -> RunFacts:
    """What Dagster would say; kept for the life's orchestrator."""
    part = RunPart(pipeline="flights", environment=Environment.DEVELOPMENT, digest=digest)
    at = life.clock.now() - timedelta(hours=2 if run_id == GOOD else 1)
    given = {"parts": (part,), "ending": Ending.FAILED, "created": at, "ended": at, "launched_by": "ada", **more}
    found = RunFacts(run_id=run_id, **given)
    life.dagster.facts[run_id] = found
    return found


def test_a_failed_check_says_its_rows_and_what_changed_since(life: Life, digests: tuple[str, str]) -> None:
    old = SourceSeen(
        what="3 file(s)", files={"a.csv": "1", "b.csv": "1", "c.csv": "1"}, columns={"id": "int", "x": "int"}
    )
    new = SourceSeen(what="3 file(s)", files={"a.csv": "1", "b.csv": "2", "d.csv": "1"}, columns={"id": "bigint"})
    facts(life, GOOD, digests[0], ending=Ending.SUCCEEDED, sources={"raw": old}, tools={"pyspark": "4.1.3"})
    check = FailedCheck(
        node="sink0", check="known", blocking=True, message="2 row(s) fail", columns=("kind", "id"), rows=(("x", "1"),)
    )
    facts(
        life, BAD, digests[1], failed_checks=(check,), sources={"raw": new}, tools={"pyspark": "4.1.4"},
        failures=(StepFailure(step="s", node="sink0", pipeline="flights", message="was not published"),),
    )  # fmt: skip
    life.dagster.good = [GOOD]
    found = explain_run(life.ctx, life.as_("ada"), BAD)
    assert found.cause is Cause.CHECK
    assert found.summary == (
        "flights v2 in development failed its check known on sink0, which was not published: 2 row(s) fail"
    )
    assert found.checks == (check,)
    assert found.last_good is not None
    assert (found.last_good.run_id, found.last_good.version) == (GOOD, "v1")
    assert [(one.kind, one.what) for one in found.changed] == [
        ("code", "node delays, sql: 'SELECT * FROM raw LIMIT 1' → 'SELECT * FROM raw LIMIT 2'"),
        ("schema", "source raw: column x (int) is gone"),
        ("schema", "source raw: column id was int, is bigint"),
        ("data", "source raw: 1 file(s) (d.csv) new, 1 file(s) (b.csv) changed, 1 file(s) (c.csv) gone"),
        ("tools", "pyspark 4.1.3 → 4.1.4"),
    ]
    assert found.todo[0].startswith("compare with v1")
    assert found.todo[-1] == "run it again: drls run flights (run)"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("java.lang.OutOfMemoryError: Java heap space", Cause.MEMORY),
        ("the query timed out after 600 s", Cause.TIME),
        ("Run execution process unexpectedly exited with exit code -9", Cause.KILLED),
        ("division by zero", Cause.ERROR),
    ],
)
def test_what_ended_it_is_told_apart(life: Life, digests: tuple[str, str], said: str, cause: Cause) -> None:
    facts(life, BAD, digests[0], said=(said,))
    found = explain_run(life.ctx, life.as_("ada"), BAD)
    assert (found.cause, found.last_good, found.changed) == (cause, None, ())
    assert "\n" not in found.summary


def test_a_refused_run_has_the_gates_reason_and_a_cancelled_one_its_canceller(
    life: Life, digests: tuple[str, str]
) -> None:
    facts(life, BAD, digests[0], ending=Ending.REFUSED, said=("flights is stopped in QA (looking)",))
    found = explain_run(life.ctx, life.as_("ada"), BAD)
    assert found.summary == "the gate refused flights v1 in development: flights is stopped in QA (looking)"
    facts(life, BAD, digests[0], ending=Ending.CANCELLED)
    assert "whose name was not recorded" in explain_run(life.ctx, life.as_("ada"), BAD).summary
    with life.store.write(life.as_("lea"), "dagster") as unit:
        unit.audit("dagster.changed", "dagster", what=["terminateRun"], arguments=[{"runId": BAD}])
    assert explain_run(life.ctx, life.as_("ada"), BAD).summary == "flights v1 in development was cancelled by lea"


def test_only_the_same_pipelines_last_run_is_compared_with(life: Life, digests: tuple[str, str]) -> None:
    other = RunPart(pipeline="others", environment=Environment.DEVELOPMENT, digest="sha256:none")
    facts(life, GOOD, digests[0], ending=Ending.SUCCEEDED, parts=(other,))
    facts(life, BAD, digests[1], said=("it broke",))
    life.dagster.good = [GOOD, "forgotten"]
    assert explain_run(life.ctx, life.as_("ada"), BAD).last_good is None


def test_a_draft_is_called_one(life: Life, digests: tuple[str, str]) -> None:
    facts(life, GOOD, digests[0], ending=Ending.SUCCEEDED)
    facts(life, BAD, "sha256:unsaved", said=("it broke",))
    life.dagster.good = [GOOD]
    found = explain_run(life.ctx, life.as_("ada"), BAD)
    assert found.version == "draft"
    assert [one.what for one in found.changed] == [
        "the definition is not the same (v1 → draft), and one of them was never saved"
    ]


def test_who_may_not_see_a_pipeline_hears_nothing_of_its_runs(life: Life, digests: tuple[str, str]) -> None:
    facts(life, BAD, digests[0], said=("it broke",))
    life.add_person("nora", None)
    with life.store.write(SETUP, "setup") as unit:
        unit.people.add_grant(
            person_id=life.person("nora"), team_id=None, role=Role.LEAD.value, scope=ScopeKind.PIPELINE.value,
            scope_value="planes", granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grants.added", "person:nora")
    with pytest.raises(NotFound, match=f"there is no run {BAD} here, or you may not see it"):
        explain_run(life.ctx, life.as_("nora"), BAD)
    draft = RunPart(pipeline="unsaved", environment=Environment.DEVELOPMENT, digest="d")
    facts(life, BAD, digests[0], parts=(draft,))
    with pytest.raises(NotFound, match=f"there is no run {BAD} here, or you may not see it"):
        explain_run(life.ctx, life.as_("nora"), BAD)
    with pytest.raises(NotFound, match="there is no run nothing here, or you may not see it"):
        explain_run(life.ctx, life.as_("ada"), "nothing")


def test_without_dagster_the_lifecycle_says_what_it_admitted(life: Life) -> None:
    version = life.save(make_spec())
    found = explain_run(life.ctx, life.as_("ada"), life.begin(version, Environment.DEVELOPMENT))
    assert (found.pipeline, found.version, found.environment) == ("flights", "v1", Environment.DEVELOPMENT)
    assert (found.state, found.cause) == (Ending.RUNNING, Cause.NONE)
