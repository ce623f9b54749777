"""The registry of step kinds, and what a pipeline with a kind that this release does not run is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from drls_dagster.assets.compile import CannotBuild, compile_pipeline
from drls_dagster.settings import Settings
from drls_dagster.steps.kinds import BUILDERS, KINDS
from lifecycle.domain.environment import Environment
from lifecycle.spec import AnyTransform, PipelineSpec, parse_pipeline

NOT_RUN: dict[str, dict[str, Any]] = {
    "sparkStream": {"sql": "SELECT * FROM made"},
}


def pipeline(step: str, **fields: Any) -> PipelineSpec:
    return parse_pipeline(
        json.dumps(
            {
                "format_version": 1,
                "name": "kinds",
                "nodes": [
                    {"id": "made", "type": "source", "source": {"kind": "rate"}},
                    {"id": "work", "type": "transform", "step": step, **fields},
                    {"id": "kept", "type": "sink", "table": "ns.kept", "mode": "overwrite"},
                ],
                "edges": [{"from": "made", "to": "work"}, {"from": "work", "to": "kept"}],
            }
        )
    )


def test_every_step_kind_of_the_file_format_has_a_row() -> None:
    assert {kind.spec for kind in KINDS} == set(get_args(get_args(AnyTransform)[0]))
    assert set(BUILDERS).isdisjoint(NOT_RUN)
    assert {*BUILDERS, *NOT_RUN} == {kind.name for kind in KINDS}


@pytest.mark.parametrize("step", NOT_RUN)
def test_a_step_kind_that_this_release_does_not_run_is_refused_by_node_with_those_it_runs(
    step: str, tmp_path: Path
) -> None:
    known = "use spark, rayProcess, dbt, custom or deadLetters$"
    refusal = rf"pipeline 'kinds', node 'work': this release does not run steps of kind {step}; {known}"
    with pytest.raises(CannotBuild, match=refusal):
        compile_pipeline(pipeline(step, **NOT_RUN[step]), Environment.DEVELOPMENT, Settings(home=tmp_path))


@pytest.mark.parametrize(
    ("step", "fields", "shown"),
    [
        ("spark", {"sql": "SELECT * FROM made"}, {"spark", "sql"}),
        ("spark", {"python": "def transform(spark, made):\n    return made\n"}, {"spark", "python"}),
        (
            "rayProcess",
            {"python": "def process(batch):\n    return batch\n", "output_schema": {"value": "long"}},
            {"ray", "python"},
        ),
        ("custom", {"command": ["true"], "output_schema": {"value": "long"}}, {"command"}),
    ],
)
def test_dagster_shows_what_does_the_work_and_the_language(
    step: str, fields: dict[str, Any], shown: set[str], tmp_path: Path
) -> None:
    made = compile_pipeline(pipeline(step, **fields), Environment.DEVELOPMENT, Settings(home=tmp_path))
    (asset,) = (one for one in made.resolve_all_asset_specs() if one.key.path[-1] == "work")
    assert asset.kinds == shown


def test_an_image_is_refused_by_node_and_name(tmp_path: Path) -> None:
    spec = pipeline("custom", image="registry.example/score:1", output_schema={"value": "long"})
    refusal = (
        r"pipeline 'kinds', node 'work': this release runs no images \(registry\.example/score:1\), because it runs no"
    )
    with pytest.raises(CannotBuild, match=refusal):
        compile_pipeline(spec, Environment.DEVELOPMENT, Settings(home=tmp_path))
