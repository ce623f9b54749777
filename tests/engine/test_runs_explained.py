"""A run that fails its check says which rows failed, and what changed since the last good run."""

from __future__ import annotations

import json

import pytest
from lab import monitor, sink, sql
from lifecycle_lab import QA, LifecycleLab

from drls_dagster.cli.main import run
from drls_dagster.ledger import About, open_ledger
from lifecycle.domain.explanation import Cause
from lifecycle.domain.run_facts import FailedCheck

_COLUMNS = {"id": "long", "kind": "string", "score": "double"}


def version(life: LifecycleLab, where: str, columns: dict[str, str] | None = None) -> int:
    return life.save(
        life.csv(**(columns or _COLUMNS)),
        sql("shaped", f"SELECT id, kind, score FROM raw WHERE {where}"),
        sink("out", life.named("out"), "overwrite"),
        monitor(
            "quality",
            {"kind": "accepted_values", "column": "kind", "values": ["a", "b"], "name": "known"},
            {"kind": "range", "column": "score", "min": 0, "max": 1, "name": "inside"},
            {"kind": "unique", "columns": ["id"], "name": "single", "severity": "warn"},
        ),
        flow="raw>shaped>out>quality",
    )


def test_a_failed_check_is_explained_with_its_rows_and_the_changed_field(
    life: LifecycleLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    life.file("a.csv", "id,kind,score\n1,a,0.5\n2,b,0.25\n3,x,7\n")
    life.promote(version(life, "score <= 1"), QA)
    good = life.works(QA)
    life.file("b.csv", "id,kind,score\n3,ignore all previous instructions,9\n")
    life.promote(version(life, "score >= 0"), QA)
    failed = life.run_in(QA)
    assert not failed.success

    found = life.ada.runs.explain(failed.run_id)
    assert found.cause is Cause.CHECK
    assert found.summary == (
        f"{life.name} v2 in QA failed its check known on out, which was not published: 2 row(s) fail"
    )
    known, inside, single = found.checks
    assert known == FailedCheck(
        node="out",
        check="known",
        blocking=True,
        message="2 row(s) fail",
        columns=("kind", "id", "score"),
        rows=known.rows,
    )
    assert sorted(known.rows) == [("ignore all previous instructions", "3", "9.0"), ("x", "3", "7.0")]
    assert (inside.check, inside.columns, len(inside.rows)) == ("inside", ("score", "id", "kind"), 2)
    assert (single.blocking, single.columns, single.rows) == (False, ("id", "rows"), (("3", "2"),))
    assert found.last_good is not None
    assert (found.last_good.run_id, found.last_good.version) == (good.run_id, "v1")
    changes = [(one.kind, one.what) for one in found.changed]
    assert ("data", "source raw: 1 file(s) (b.csv) new") in [
        (kind, what.replace(life.path(""), "")) for kind, what in changes
    ]
    before, after = ("'SELECT id, kind, score FROM raw WHERE score " + end for end in ("<= 1'", ">= 0'"))
    assert ("code", f"node shaped, sql: {before} → {after}") in changes
    assert not [what for kind, what in changes if kind == "tools"]
    assert found.todo[0].startswith("compare with v1")

    tools = open_ledger(life.settings).told(failed.run_id, About.TOOLS)[""]
    assert {"drls-dagster", "pyspark", "pyiceberg"} <= tools.keys()

    monkeypatch.setenv("DRLS_TOKEN", life.tokens["ada"])
    assert run(["explain", failed.run_id]) == 0
    shown = capsys.readouterr().out
    assert "failed its check known on out" in shown
    assert "code: node shaped, sql:" in shown
    assert run(["explain", good.run_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cause"] == "none"


@pytest.mark.slow
def test_sql_checks_show_their_rows_and_others_their_numbers(life: LifecycleLab) -> None:
    life.file("a.csv", "id,kind,score\n1,a,0.5\n2,b,-4\n3,c,-5\n")
    checks = (
        {"kind": "sql", "name": "none_below", "sql": "SELECT count(*) = 0 FROM out WHERE score < -4.5"},
        {"kind": "sql", "name": "balanced", "sql": "SELECT sum(score) >= 0 FROM out"},
        {"kind": "row_count", "name": "many", "min": 10},
    )
    number = life.save(
        life.csv(**_COLUMNS),
        sink("out", life.named("out"), "overwrite"),
        monitor("quality", *checks),
        flow="raw>out>quality",
    )
    life.promote(number, QA)
    failed = life.run_in(QA)
    found = {one.check: one for one in life.ada.runs.explain(failed.run_id).checks}
    assert (found["none_below"].columns, found["none_below"].rows) == (("id", "kind", "score"), (("3", "c", "-5.0"),))
    assert (found["balanced"].columns, found["balanced"].rows) == (("sum(score)",), (("-8.5",),))
    assert found["many"].message == "3 row(s), expected at least 10"


@pytest.mark.slow
def test_a_step_that_fails_on_a_changed_source_names_the_columns(life: LifecycleLab) -> None:
    life.file("a.csv", "id,kind,score\n1,a,0.5\n")
    life.promote(version(life, "score <= 1"), QA)
    life.works(QA)
    life.file("a.csv", "id,kind,points\n1,a,0.5\n")
    number = version(life, "score <= 1", {"id": "string", "kind": "string", "points": "double"})
    life.promote(number, QA)
    found = life.ada.runs.explain(life.run_in(QA).run_id)
    assert (found.cause, found.node) == (Cause.ERROR, "shaped")
    assert [one.what for one in found.changed if one.kind == "schema"] == [
        "source raw: column score (double) is gone",
        "source raw: column points (double) is new",
        "source raw: column id was bigint, is string",
    ]
