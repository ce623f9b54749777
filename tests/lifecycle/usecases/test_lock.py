"""L2 in the life of a version: the lock is resolved at save, and what changed since is another version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.domain.promotion import State
from lifecycle.domain.version import Version
from lifecycle.errors import Refused
from lifecycle.spec import PipelineSpec, SpecError, package_digest
from lifecycle.usecases.clone_pipeline import clone_pipeline
from lifecycle.usecases.may import may
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.save_version import save_version
from tests.lifecycle.life import DEVELOPMENT, PRODUCTION, QA, UAT, Life, make_spec

IMAGE = f"registry.example.org/score@sha256:{'0' * 64}"


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A search path with one package."""
    (tmp_path / "code" / "scoring").mkdir(parents=True)
    (tmp_path / "code" / "scoring" / "__init__.py").write_text("def score(raw): return raw\n")
    return tmp_path / "code"


def change(code: Path) -> None:
    (code / "scoring" / "helper.py").write_text("# beside the function, and in the same package\n")


def spec_with(**step: Any) -> PipelineSpec:
    """The usual pipeline with this transform."""
    data = make_spec().model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["nodes"][1] = {"id": "delays", "type": "transform", **step}
    return PipelineSpec.model_validate(data)


def with_code(life: Life, code: Path) -> Version:
    spec = spec_with(step="spark", entrypoint="scoring:score")
    return save_version(replace(life.ctx, search_path=[code]), life.as_("ada"), spec)


def problems(life: Life, version: Version, target: Environment) -> str:
    return "; ".join(plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, target).problems)


def test_l2_save_resolves_the_lock_and_the_digest_covers_it(life: Life, code: Path) -> None:
    first = with_code(life, code)
    lock = spec_of(first).lock
    assert lock is not None
    assert lock.code == {"scoring:score": package_digest("scoring", [code])}
    assert with_code(life, code) == first
    change(code)
    second = with_code(life, code)
    assert (second.number, second.digest != first.digest) == (2, True)
    assert spec_of(second).model_copy(update={"lock": None}) == spec_of(first).model_copy(update={"lock": None})


def test_l2_code_that_is_not_there_is_refused_at_save(life: Life, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="node 'delays'"):
        with_code(life, tmp_path)
    with life.store.read() as view:
        assert view.pipelines.find("flights") is None


def test_l2_an_approval_is_for_the_code_that_was_locked(life: Life, code: Path) -> None:
    first = with_code(life, code)
    life.to_uat(first)
    life.run(first, UAT)
    asked = life.ask(first, PRODUCTION)
    assert asked.plan.spec_digest == first.digest
    change(code)
    second = with_code(life, code)
    # The request is for the digest that people looked at; what was saved since is active in development alone.
    assert life.approve(asked).state is State.DONE
    assert {where: life.active_number(where) for where in Environment} == {
        DEVELOPMENT: 2, QA: 1, UAT: 1, PRODUCTION: 1
    }  # fmt: skip
    for where in (QA, UAT, PRODUCTION):
        assert may(life.ctx, "flights", first.digest, where, Action.ADMIT).allowed
        assert not may(life.ctx, "flights", second.digest, where, Action.ADMIT).allowed
    assert "not active in UAT" in problems(life, second, PRODUCTION)


def test_l2_a_clone_keeps_the_code_of_its_version(life: Life, code: Path) -> None:
    first = with_code(life, code)
    ctx = replace(life.ctx, search_path=[code])
    assert clone_pipeline(ctx, life.as_("ada"), "flights", 1) == first
    change(code)
    assert with_code(life, code).number == 2
    assert clone_pipeline(ctx, life.as_("ada"), "flights", 1) == first


@pytest.mark.parametrize(
    "step",
    [{"command": ["score"]}, {"command": ["score"], "image": "registry.example.org/score:1"}, {"image": "score"}],
)
def test_l2_a_local_command_or_a_movable_image_stops_at_qa(life: Life, step: dict[str, Any]) -> None:
    version = life.save(spec_with(step="custom", **step))
    assert life.to_qa(version).state is State.DONE
    life.run(version, QA)
    assert "delays runs a program that the version does not keep: put a script next to" in problems(life, version, UAT)
    with pytest.raises(Refused, match="@sha256"):
        life.ask(version, UAT)


def test_l2_a_command_whose_files_are_kept_goes_all_the_way(life: Life, code: Path) -> None:
    (code / "score.sh").write_text("cp inputs/raw/*.parquet output\n")
    ctx = replace(life.ctx, search_path=[code])
    spec = spec_with(step="custom", command=["bash", "score.sh"], output_schema={"id": "long"})
    first = save_version(ctx, life.as_("ada"), spec)
    assert life.to_production(first).state is State.DONE
    (code / "score.sh").write_text("true\n")
    assert save_version(ctx, life.as_("ada"), spec).number == 2


def test_l2_an_image_named_by_its_digest_goes_all_the_way(life: Life) -> None:
    version = life.save(spec_with(step="custom", command=["score"], image=IMAGE))
    lock = spec_of(version).lock
    assert lock is not None
    assert lock.images == {IMAGE: f"sha256:{'0' * 64}"}
    assert life.to_production(version).state is State.DONE


def test_l2_evidence_of_several_tool_versions_is_a_warning_in_the_plan(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.plane.commit("flights_raw.flights")
    run_id = life.begin(version, QA)
    for number, spark in enumerate(("4.1.3", "4.1.4")):
        table = ("flights.daily", "flights.late")[number]
        life.publish(life.publishing(run_id, table, QA, number, tools={"spark": spark, "iceberg": "1.12.0"}))
    draft = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, UAT)
    assert draft.advice.warnings == ("the evidence was produced with several versions of spark",)
    assert draft.problems == ()
