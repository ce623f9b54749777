"""What production was at any past time: asked of the lifecycle, compared with Iceberg's own history."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from lab import iceberg, sink, sql
from lifecycle_lab import PRODUCTION, SETUP, UAT, LifecycleLab

from drls_dagster.cli.main import run
from drls_dagster.lakehouse import refs
from lifecycle.usecases.reconcile import reconcile


class Diary:
    """Moments of production, each with what a person who was there knows of it."""

    def __init__(self, life: LifecycleLab) -> None:
        self.life = life
        self.moments: list[tuple[datetime, int, list[str], Any]] = []

    def note(self, version: int, approved_by: list[str], wrote: Any) -> None:
        self.moments.append((datetime.now(UTC), version, approved_by, wrote))

    def head_at(self, moment: datetime) -> int:
        """Where `main` was, as the table's metadata tells it."""
        entries = self.life.table("out").metadata.snapshot_log
        return next(one.snapshot_id for one in reversed(entries) if one.timestamp_ms <= moment.timestamp() * 1000)

    def inputs_at(self, head: int) -> dict[str, int]:
        """What the snapshot says of itself."""
        snapshot = self.life.table("out").snapshot_by_id(head)
        assert snapshot is not None
        return json.loads(refs.summary(snapshot).get("drls.inputs", "{}"))


def version(life: LifecycleLab, text: str) -> int:
    return life.save(
        iceberg("raw", life.named("feed")),
        sql("shaped", f"SELECT id, '{text}' AS by FROM raw"),
        sink("out", life.named("out"), "overwrite"),
        flow="raw>shaped>out",
    )


def test_production_tells_version_approver_snapshot_and_inputs_at_any_past_time(
    life: LifecycleLab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    diary = Diary(life)
    life.create("feed", id="long")
    life.append("feed", (1,))
    one = version(life, "v1")
    life.deploy(one, UAT)
    before = datetime.now(UTC)
    first = life.works(UAT)
    carried = life.promote(one, PRODUCTION)
    diary.note(1, ["lea"], (1, first.run_id, carried.id))
    life.append("feed", (2,))
    diary.note(1, ["lea"], (1, life.works(PRODUCTION).run_id, None))

    life.deploy(version(life, "v2"), PRODUCTION)
    diary.note(2, [], diary.moments[-1][3])  # v1 had written what v2 found there
    life.append("feed", (3,))
    diary.note(2, [], (2, life.works(PRODUCTION).run_id, None))
    plan = life.lea.environments.plan_rollback(life.name, data=True)
    back = life.lea.environments.rollback(life.name, reason="wrong", data=True, consent=plan.plan.digest)
    (_, _, _, (_, earlier, _)) = diary.moments[1]
    diary.note(1, ["lea"], (1, earlier, back.id))
    life.foreign("out", id=99, by="nobody")
    (drift,) = [one for one in reconcile(life.ctx, SETUP).drifts if one.table_name == life.named("out")]
    life.lea.environments.settle_drift(drift.id, "adopt", reason="a correction by hand")
    diary.note(1, ["lea"], (None, None, None))

    monkeypatch.setenv("DRLS_TOKEN", life.tokens["ada"])
    for moment, number, approved_by, wrote in diary.moments:
        head = diary.head_at(moment)
        assert run(["env", "production", "--pipeline", life.name, "--at", moment.isoformat(), "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)["active"]
        assert (told["version"], told["approved_by"]) == (number, approved_by)
        assert datetime.fromisoformat(told["since"]) <= moment
        (table,) = told["tables"]
        assert (table["table"], table["snapshot"]) == (life.named("out"), str(head))
        assert (table["version"], table["run_id"], table["request"]) == wrote
        assert datetime.fromisoformat(table["since"]) <= moment
        assert {each["name"]: int(each["snapshot"]) for each in table["inputs"]} == diary.inputs_at(head)
    assert life.ada.environments.active(PRODUCTION, pipeline=life.name, at=before, tables=True) == ()
    assert run(["env", "production", "--pipeline", life.name]) == 0
    shown = capsys.readouterr().out
    assert str(diary.head_at(datetime.now(UTC))) in shown
    assert "others" in shown
