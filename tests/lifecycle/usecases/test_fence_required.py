"""A policy may demand a fence: unfenced runs neither start, nor publish, nor count as evidence (A7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.fence import FenceFacts, FenceKind
from lifecycle.domain.policy import DEFAULT_POLICIES, Policy
from lifecycle.domain.version import Version
from lifecycle.errors import Invalid, NotFound, Refused
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.start_run import start_run
from lifecycle.verbs import installation
from lifecycle.verbs.verb import Call
from tests.lifecycle.life import DAGSTER, DEVELOPMENT, QA, UAT, Life

NONE = FenceFacts(kind=FenceKind.NONE, detail="the kernel has no Landlock")
LANDLOCK = FenceFacts(kind=FenceKind.LANDLOCK, detail="Landlock ABI 7")


def fenced_by(life: Life, facts: FenceFacts | None) -> None:
    life.ctx = replace(life.ctx, fence=lambda: facts)


def require(life: Life, environment: Environment, name: str | None = None) -> None:
    body = DEFAULT_POLICIES.get(environment, Policy()).model_copy(update={"fence": "required"})
    set_policy(life.ctx, life.as_("adam"), environment, name, body)


def in_qa(life: Life) -> Version:
    version = life.save()
    life.to_qa(version)
    return version


def test_a7_a_run_without_a_fence_is_refused_where_the_policy_requires_one(life: Life) -> None:
    require(life, QA)
    fenced_by(life, NONE)
    version = in_qa(life)
    said = "QA requires a fence, and pipeline code on this machine has none: the kernel has no Landlock"
    with pytest.raises(Refused) as refused:
        admit_run(life.ctx, DAGSTER, "one", name="flights", digest=version.digest, environment=QA)
    assert refused.value.message == said
    with life.store.read() as view:
        newest = [entry for entry in view.log.entries(0, limit=500) if entry.verb == "admission.refused"][-1]
    assert newest.body["reason"] == said
    admit_run(life.ctx, DAGSTER, "two", name="flights", digest=version.digest, environment=DEVELOPMENT)


def test_a7_a_process_that_knows_of_no_fence_admits_nothing_that_needs_one(life: Life) -> None:
    require(life, QA)
    version = in_qa(life)
    with pytest.raises(Refused, match=r"QA requires a fence, and pipeline code on this machine has none$"):
        admit_run(life.ctx, DAGSTER, "one", name="flights", digest=version.digest, environment=QA)


def test_a7_a_run_that_was_admitted_with_a_fence_does_not_start_without_one(life: Life) -> None:
    require(life, QA)
    fenced_by(life, LANDLOCK)
    version = in_qa(life)
    admit_run(life.ctx, DAGSTER, "one", name="flights", digest=version.digest, environment=QA)
    fenced_by(life, NONE)
    with pytest.raises(Refused, match="QA requires a fence"):
        start_run(life.ctx, DAGSTER, "one", "flights")
    fenced_by(life, LANDLOCK)
    assert start_run(life.ctx, DAGSTER, "one", "flights").waits_for == ""


@pytest.mark.parametrize("fence", [None, FenceKind.NONE])
def test_a7_what_unfenced_code_wrote_is_not_published_where_the_policy_requires_a_fence(
    life: Life, fence: FenceKind | None
) -> None:
    require(life, QA)
    fenced_by(life, LANDLOCK)
    version = in_qa(life)
    life.plane.commit("flights_raw.flights")
    run_id = life.begin(version, QA)
    with pytest.raises(Refused, match="QA requires a fence, and the code of this run had none"):
        life.publish(life.publishing(run_id, "flights.daily", QA, fence=fence))
    life.publish(life.publishing(run_id, "flights.daily", QA, fence=FenceKind.ACCOUNT))


def test_a7_receipts_of_unfenced_runs_are_no_evidence_where_the_policy_requires_a_fence(life: Life) -> None:
    version = in_qa(life)
    life.run(version, QA)
    assert plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, UAT).problems == ()
    require(life, UAT)
    problems = plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, UAT).problems
    assert [problem.partition(" is from")[2] for problem in problems] == [
        " a run without a fence, and the policy requires one: turn the fence on and run again"
    ] * 2
    with pytest.raises(Refused, match="is from a run without a fence"):
        life.ask(version, UAT)


@pytest.mark.parametrize("fence", [FenceKind.LANDLOCK, FenceKind.ACCOUNT])
def test_a7_receipts_of_fenced_runs_are_evidence(life: Life, fence: FenceKind) -> None:
    require(life, UAT)
    version = in_qa(life)
    life.plane.commit("flights_raw.flights")
    run_id = life.begin(version, QA)
    for number, table in enumerate(("flights.daily", "flights.late")):
        receipt = life.publish(life.publishing(run_id, table, QA, number, fence=fence))
        assert receipt.details.fence is fence
    planned = plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, UAT)
    assert (planned.problems, planned.advice.warnings) == ((), ())


def test_a_plan_says_which_evidence_comes_from_runs_without_a_fence(life: Life) -> None:
    version = in_qa(life)
    life.plane.commit("flights_raw.flights")
    run_id = life.begin(version, QA)
    life.publish(life.publishing(run_id, "flights.daily", QA, 0, fence=FenceKind.NONE))
    life.publish(life.publishing(run_id, "flights.late", QA, 1, fence=FenceKind.LANDLOCK))
    planned = plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, UAT)
    assert planned.advice.warnings == ("1 of 2 receipts are from runs without a fence",)


def test_a7_a_pipeline_may_require_a_fence_where_its_environment_does_not(life: Life) -> None:
    fenced_by(life, NONE)
    version = in_qa(life)
    admit_run(life.ctx, DAGSTER, "one", name="flights", digest=version.digest, environment=QA)
    require(life, QA, "flights")
    with pytest.raises(Refused, match="QA requires a fence"):
        admit_run(life.ctx, DAGSTER, "two", name="flights", digest=version.digest, environment=QA)


def test_a_policy_of_qa_takes_the_fence_and_nothing_of_approvals(life: Life) -> None:
    require(life, QA)
    with pytest.raises(Invalid, match="may set only fence, schedules, on_promote, not quorum"):
        set_policy(life.ctx, life.as_("adam"), QA, None, Policy(fence="required", quorum="1 Admin"))


def test_the_fence_is_told_and_a_server_without_one_says_so(life: Life) -> None:
    def asked() -> FenceFacts:
        return installation.fence.run(Call(life.ctx, life.as_("lea"), frozenset()))

    with pytest.raises(NotFound, match="does not run pipelines"):
        asked()
    fenced_by(life, LANDLOCK)
    assert asked() == LANDLOCK
