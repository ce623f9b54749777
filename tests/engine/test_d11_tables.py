"""D11: one table, one writing pipeline. D12: a table's first run. D14: commits that conflict."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab, files, monitor, on, sink
from pyiceberg.catalog.sql import SqlCatalog

from drls_dagster.lakehouse import commit_retry as commit
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.lakehouse.prepare import ForeignTable
from drls_dagster.lakehouse.refs import RELEASED
from drls_dagster.locations.building import build_location
from drls_dagster.pipeline_files import load_folder
from drls_dagster.steps.sink import NotPublished
from lifecycle.domain.environment import Environment


def simple(lab: Lab, *checks: dict[str, Any], name: str = "", table: str = "out") -> str:
    lab.file("a.csv", "id\n1\n")
    more = (monitor("quality", *checks),) if checks else ()
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        sink("out", lab.named(table), repeat=True),
        *more,
        flow="raw>out" + (">quality" if checks else ""),
        name=name,
    )


def test_d11_a_table_of_another_pipeline_is_refused_naming_its_owner(lab: Lab) -> None:
    lab.prepare(simple(lab)).sink("out")
    with pytest.raises(ForeignTable, match=rf"\.out is written by pipeline '{lab.name}'; give the sink of 'thief' its"):
        lab.prepare(simple(lab, name="thief")).sink("out")
    ran = lab.run(simple(lab, name="thief"))
    assert "is written by pipeline" in ran.failure
    assert lab.rows("out") == [(1,)]


def test_d11_two_files_that_write_one_table_are_both_broken_and_the_others_load(lab: Lab) -> None:
    for name in ("one", "two", "good"):
        table = "good" if name == "good" else "out"
        lab.file(f"{name}.json", simple(lab, name=f"{lab.name}_{name}", table=table))
    lab.file("worse.yaml", "format_version: 1\nname: [")
    definitions = build_location(load_folder(lab.landing), Environment.DEVELOPMENT, lab.settings)
    specs = {spec.key.path[-1]: spec for spec in definitions.resolve_all_asset_specs() if "broken" in spec.key.path}
    assert sorted(specs) == ["one", "two", "worse"]
    assert f"table {lab.named('out')} also belongs to '{lab.name}_two' (two.json)" in (specs["one"].description or "")
    assert definitions.resolve_job_def(f"{lab.name}_good")


def test_d12_a_failed_first_run_leaves_an_empty_unreleased_table_which_the_next_good_run_releases(lab: Lab) -> None:
    with pytest.raises(NotPublished):
        lab.prepare(simple(lab, {"kind": "row_count", "min": 2})).sink("out")
    table = lab.table("out")
    assert table.properties[RELEASED] == "false"
    assert refs.head(table, "main") is None
    assert lab.rows("out") == []

    lab.prepare(simple(lab)).sink("out")
    assert lab.table("out").properties[RELEASED] == "true"
    assert lab.rows("out") == [(1,)]


def test_d12_of_two_first_runs_both_publish_and_no_row_is_lost(lab: Lab) -> None:
    text = simple(lab)
    other = lab.prepare(text)
    tries: list[str] = []
    race = on("written", lambda: other.sink("out"))

    def hook(stage: str) -> None:
        tries.append(stage)
        race(stage)

    lab.prepare(text).sink("out", hook)
    assert tries.count("written") == 2
    assert lab.rows("out") == [(1,), (1,)]
    assert lab.branches("out") == []


class Contested(SqlCatalog):
    """A real catalog with a second writer who commits to the same table in the middle of our commits."""

    left = 0

    def _write_metadata(self, *args: Any, **more: Any) -> None:
        super()._write_metadata(*args, **more)
        if self.left and self.table:
            self.left -= 1
            with self.other.load_table(self.table).transaction() as change:
                change.set_properties({"somebody": str(self.left)})

    @classmethod
    def around(cls, lab: Lab, table: str) -> Contested:
        made = cls.__new__(cls)
        made.__dict__.update(lab.catalog.__dict__)
        made.table, made.other = lab.identifier(table), lab.catalog
        return made


def test_d14_a_publish_that_meets_other_commits_is_tried_again_and_then_fails_clearly(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_LONGEST_WAIT_SECONDS", 0.06)
    text = simple(lab)
    lab.prepare(text).sink("out")
    catalog = Contested.around(lab, "out")

    def contested(times: int) -> Any:
        step = lab.prepare(text, catalog=catalog)

        def hook(stage: str) -> None:
            catalog.left = times if stage == "audited" else 0

        return step.sink("out", hook)

    contested(commit.ATTEMPTS - 1)
    assert lab.rows("out") == [(1,), (1,)]
    assert lab.table("out").properties["somebody"] == "0"

    with pytest.raises(CommitConflictError, match=r"other writers committed first 8 times, so nothing was written"):
        contested(commit.ATTEMPTS)
    assert lab.rows("out") == [(1,), (1,)]
    assert lab.branches("out") == []
