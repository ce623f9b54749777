"""Pipelines in every state that a version can be in, and a code location that still offers all of them.

The location is started by hand from files that were true once: what it offers is not what is deployed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.version import Label, Version
from lifecycle.ports import SystemClock
from lifecycle.spec import PipelineSpec, canonical_json
from lifecycle.store.store import Store
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.parts.activation import activate
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import SETUP, Life

STATES = (
    "never",
    "approved",
    "revoked",
    "overtaken",
    "superseded",
    "demoted",
    "retired",
    "frozen",
    "stopped",
    "tampered",
)
QUEUED = ("revoked", "overtaken")  # a launch is let through, and then something happens
RUNS = ("approved", "frozen")  # the states in which a launch is let through
PARTITION = "north"


def environment_of(state: str) -> Environment:
    return Environment.UAT if state == "demoted" else Environment.PRODUCTION


def make_spec(name: str, rows: int = 1) -> PipelineSpec:
    """Source → transform → sink with a blocking check, partitioned; `rows` makes another version."""
    return PipelineSpec.model_validate(
        {
            "format_version": 1,
            "name": name,
            "partitions": {"kind": "static", "values": [PARTITION, "south"], "column": "region"},
            "schedule": {"cron": "* * * * *", "timezone": "UTC"},
            "nodes": [
                {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": f"{name}_raw.rows"}},
                {"id": "some", "type": "transform", "step": "spark", "sql": f"SELECT * FROM raw LIMIT {rows}"},
                {"id": "kept", "type": "sink", "table": f"{name}.kept", "mode": "overwrite_partitions"},
                {"id": "quality", "type": "monitor", "checks": [{"kind": "row_count", "min": 1, "name": "some"}]},
            ],
            "edges": [
                {"from": "raw", "to": "some"},
                {"from": "some", "to": "kept"},
                {"from": "kept", "to": "quality"},
            ],
        }
    )


class Town:
    """The lifecycle of one home, as the gate finds it there."""

    def __init__(self, settings: Settings, store: Store, folder: Path) -> None:
        self.settings = settings
        self.life = Life(store, folder, SystemClock())  # pyright: ignore[reportArgumentType]
        self.specs = {state: make_spec(state) for state in STATES}
        self.versions: dict[str, Version] = {}
        # Elsewhere than in production a schedule starts nothing otherwise.
        set_policy(self.life.ctx, self.life.as_("adam"), Environment.UAT, None, Policy(schedules=True))
        for state in STATES:
            self.versions[state] = self.life.save(self.specs[state])
            if state != "never":
                self._deploy(state, environment_of(state))
        self._settle()

    def write_files(self, folder: Path) -> None:
        """What the hand-made location is built from."""
        for state, spec in self.specs.items():
            (folder / f"{state}.json").write_text(
                json.dumps({"environment": environment_of(state).value, "spec": canonical_json(spec).decode()})
            )

    def change_while_queued(self, state: str) -> None:
        """Another version takes over, or the pipeline is stopped, which revokes its admissions; then all is as before."""
        if state == "overtaken":
            self._deploy(state, Environment.PRODUCTION, 2)
            self._deploy(state, Environment.PRODUCTION, 1)
            return
        ctx, lea = self.life.ctx, self.life.as_("lea")
        held = set_hold(ctx, lea, HoldKind.STOP, environment_of(state), state, reason="test")
        lift_hold(ctx, lea, held.id)

    def written(self) -> dict[str, int]:
        """How many publishes there ever were."""
        with self.life.store.engine.connect() as connection:
            return {name: connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one() for name in _TABLES}

    def audited(self, run_id: str) -> list[str]:
        """What the audit log says of a run."""
        with self.life.store.engine.connect() as connection:
            query = sa.text("SELECT verb FROM audit WHERE subject = :subject ORDER BY sequence")
            return [row[0] for row in connection.execute(query, {"subject": f"run:{run_id}"})]

    def _deploy(self, state: str, environment: Environment, number: int = 1) -> None:
        with self.life.store.write(SETUP, "setup") as unit:
            pipeline = unit.pipelines.named(state)
            version = unit.pipelines.numbered(pipeline, number)
            activate(unit, pipeline, version, environment, reason="promote", label=Label.APPROVED)

    def _settle(self) -> None:
        life, lea = self.life, self.life.as_("lea")
        life.save(make_spec("superseded", rows=2))
        life.save(make_spec("overtaken", rows=2))
        self._deploy("superseded", Environment.PRODUCTION, 2)
        demote_version(life.ctx, lea, "demoted", 1, reason="test")
        retire_version(life.ctx, lea, "retired", 1, reason="test")
        set_hold(life.ctx, lea, HoldKind.FREEZE, Environment.PRODUCTION, "frozen", reason="test")
        set_hold(life.ctx, lea, HoldKind.STOP, Environment.PRODUCTION, "stopped", reason="test")
        with life.store.engine.begin() as connection:
            # Whoever owns the file can do this; the digest shows it.
            triggers = connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
            for name in [name for name in triggers if "version" in name]:
                connection.execute(sa.text(f"DROP TRIGGER {name}"))
            connection.execute(
                sa.text("UPDATE version SET spec = replace(spec, 'LIMIT 1', 'LIMIT 9') WHERE id = :id"),
                {"id": self.versions["tampered"].id},
            )


_TABLES: Any = ("permit", "receipt")
