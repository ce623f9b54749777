"""The dbt step in the pipeline file, and the files of its project that a version keeps (L2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lifecycle.spec import SpecError, digest, parse_pipeline, resolve_lock
from lifecycle.spec.closure import local_code
from lifecycle.spec.dbt import DbtTransform


def pipeline(**step: Any) -> str:
    nodes: list[dict[str, Any]] = [
        {"id": "raw", "type": "source", "source": {"kind": "rate"}},
        {"id": "models", "type": "transform", "step": "dbt", "project": "dbt/shop", **step},
        {"id": "kept", "type": "sink", "table": "a.b", "mode": "overwrite"},
    ]
    edges = [{"from": "raw", "to": "models"}, {"from": "models", "to": "kept"}]
    return json.dumps({"format_version": 1, "name": "shop", "nodes": nodes, "edges": edges})


def step_of(**step: Any) -> DbtTransform:
    node = parse_pipeline(pipeline(**step)).node("models")
    assert isinstance(node, DbtTransform)
    return node


@pytest.fixture
def place(tmp_path: Path) -> Path:
    project = tmp_path / "dbt" / "shop"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: shop\n")
    (project / "models" / "models.sql").write_text("select 1 as id")
    return tmp_path


def test_a_step_builds_the_model_of_its_name_with_what_it_is_made_of() -> None:
    assert (step_of().built_model, step_of().selection) == ("models", ("+models",))
    assert (step_of(model="Orders").built_model, step_of(model="Orders").selection) == ("Orders", ("+Orders",))
    assert step_of(select="tag:daily  +orders").selection == ("tag:daily", "+orders")


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"select": "orders --target prod"}, "'--target' in select begins with -"),
        ({"exclude": "-x"}, "'-x' in exclude begins with -"),
        ({"model": "a; drop"}, "model"),
        ({"project": "../other"}, "leaves its folder"),
        ({"checks": ["unique_x", "unique_x"]}, "a check is named twice"),
        ({"vars": {"x": [1]}}, "vars"),
        ({"resources": {"memory": "much"}}, "memory"),
    ],
)
def test_what_is_no_selection_or_name_is_refused(more: dict[str, Any], wrong: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse_pipeline(pipeline(**more))
    assert wrong in str(refused.value)


def test_l2_a_version_keeps_the_project_but_not_what_dbt_writes(place: Path) -> None:
    project = place / "dbt" / "shop"
    for name in ("target/manifest.json", "logs/dbt.log", ".user.yml", "models/__pycache__/x.pyc"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("x")
    code = local_code(parse_pipeline(pipeline()), [place])
    assert sorted(code.files) == ["dbt/shop/dbt_project.yml", "dbt/shop/models/models.sql"]
    assert code.modules == {"models": ("dbt",)}


def test_l2_another_model_is_another_version(place: Path) -> None:
    first = resolve_lock(parse_pipeline(pipeline()), [place])
    (place / "dbt" / "shop" / "models" / "models.sql").write_text("select 2 as id")
    second = resolve_lock(parse_pipeline(pipeline()), [place])
    assert digest(first) != digest(second)


def test_l2_a_link_in_a_project_is_refused(place: Path) -> None:
    (place / "dbt" / "shop" / "models" / "other.sql").symlink_to("/etc/hostname")
    with pytest.raises(SpecError, match="is a link"):
        resolve_lock(parse_pipeline(pipeline()), [place])


def test_a_check_with_the_name_of_a_monitor_s_is_refused() -> None:
    said = json.loads(pipeline(checks=["row_count"]))
    said["nodes"].append({"id": "m", "type": "monitor", "checks": [{"kind": "row_count", "min": 1}]})
    said["edges"].append({"from": "models", "to": "m"})
    with pytest.raises(SpecError, match="a monitor's check has the name 'row_count' too"):
        parse_pipeline(json.dumps(said))
