"""A lifecycle over the lab's catalog in which one person may do everything: what is measured is the promotion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from benchmarks.lab import Lab, seconds
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.data_plane import IcebergDataPlane
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.opening import open_context
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, WayIn, system_actor
from lifecycle.domain.plan import Carry
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.domain.seal import Altered, Digests, FileKind, SealedFile, SealedFiles
from lifecycle.domain.version import Version
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import Publish, grant_permit, record_receipt
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.save_version import save_version
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.start_run import finish_run, start_run

DAGSTER = system_actor("run worker", WayIn.DAGSTER)
ROW = pa.table({"id": [0], "amount": [0.0]})


class Plane(IcebergDataPlane):
    """Notes the files that it is asked to verify."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.verified: list[SealedFile] = []

    def altered(
        self,
        table: str,
        environment: Environment,
        sealed: Sequence[SealedFiles],
        digests: Digests,
        *,
        head: int | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> Sequence[Altered]:
        assert digests is Digests.CHANGED, "of verify: sizes"
        self.verified += [file for one in sealed for file in one.files]
        return super().altered(table, environment, sealed, digests, head=head, alive=alive)


class Promotions:
    """Pipelines whose tables are ready, promoted again and again."""

    def __init__(self, lab: Lab) -> None:
        self.home: Path = lab.settings.home
        self._plane = Plane(lab.settings)
        self._ctx = open_context(lab.settings, Adapters(plane=self._plane), lambda _: None)
        self._catalog: Catalog = load_catalog(lab.settings)
        self._count = 0
        with self._ctx.store.read() as view:
            self._me = Actor(person=view.people.all()[0].id, name="admin", way_in=WayIn.CLI)
        for environment in (Environment.UAT, Environment.PRODUCTION):
            set_policy(self._ctx, self._me, environment, None, Policy(quorum="1 Admin", approvals="solo"))

    def close(self) -> None:
        self._ctx.store.close()

    def make(self, name: str, data: pa.Table, files: int, first: pa.Table | None = None) -> Table:
        """A table that keeps `data` in about `files` files; what is on main is `data`, or `first`."""
        self._catalog.create_namespace_if_not_exists(name.split(".", maxsplit=1)[0])
        size = str(max(1, data.nbytes // files))
        table = self._catalog.create_table(name, data.schema, properties={"write.target-file-size-bytes": size})
        table.append(data if first is None else first)
        return table

    def promote(self, pipeline: str, tables: tuple[str, ...], data: pa.Table = ROW) -> float:
        """Seconds from the approval of a new version, whose run in UAT wrote `data`, to its being production.

        No data file is written, and every file that the run wrote is looked at.
        """
        version = self._save(pipeline, tables)
        self._execute(version, pipeline, Environment.QA)
        self._run(version, pipeline, tables, Environment.QA)
        self._execute(version, pipeline, Environment.UAT)
        written = -self._data_files()
        self._run(version, pipeline, tables, Environment.UAT, data)
        written += self._data_files()
        asked = request_promotion(self._ctx, self._me, pipeline, version.number, Environment.PRODUCTION)
        assert asked.plan.carry is Carry.SNAPSHOT, asked.plan.carry_reason
        before = self._data_files()
        self._plane.verified.clear()
        done: list[Promotion] = []
        took = seconds(lambda: done.append(approve_promotion(self._ctx, self._me, asked.id, asked.plan_digest)))
        assert done[0].state is State.DONE, done[0].outcome
        assert self._data_files() == before
        data_files = [one for one in self._plane.verified if one.kind is FileKind.DATA]
        assert len({one.path for one in data_files}) == written
        return took

    def _save(self, pipeline: str, tables: tuple[str, ...]) -> Version:
        self._count += 1
        nodes: list[dict[str, Any]] = [
            {"id": "raw", "type": "source", "source": {"kind": "rate", "rows_per_second": self._count}}
        ]
        sinks = [
            {"id": f"sink{number}", "type": "sink", "table": table, "mode": "overwrite"}
            for number, table in enumerate(tables)
        ]
        edges = [{"from": "raw", "to": sink["id"]} for sink in sinks]
        data = {"format_version": 1, "name": pipeline, "nodes": [*nodes, *sinks], "edges": edges}
        return save_version(self._ctx, self._me, PipelineSpec.model_validate(data))

    def _execute(self, version: Version, pipeline: str, target: Environment) -> None:
        asked = request_promotion(self._ctx, self._me, pipeline, version.number, target)
        if target.governed:
            approve_promotion(self._ctx, self._me, asked.id, asked.plan_digest)
        done = execute_promotion(self._ctx, self._me, asked.id).promotion
        assert done.state is State.DONE, done.outcome

    def _run(
        self,
        version: Version,
        pipeline: str,
        tables: tuple[str, ...],
        environment: Environment,
        data: pa.Table = ROW,
    ) -> None:
        """A run that appends to each table, as the gate would drive it."""
        run_id = f"run-{self._count}-{environment.value}"
        admit_run(self._ctx, DAGSTER, run_id, name=pipeline, digest=version.digest, environment=environment)
        start_run(self._ctx, DAGSTER, run_id, pipeline)
        for number, name in enumerate(tables):
            table = self._catalog.load_table(name)
            base = refs.head(table, environment.ref)
            assert base is not None
            branch = f"drls_run_{run_id}"
            refs.create_branch(self._catalog, table, branch, base)
            self._catalog.load_table(name).append(data, branch=branch)
            written = self._catalog.load_table(name)
            candidate = refs.head(written, branch)
            assert candidate is not None
            asked = Publish(
                run_id=run_id,
                pipeline=pipeline,
                step=f"sink{number}",
                table=name,
                ref=environment.ref,
                base=base,
                candidate=candidate,
            )
            permit = grant_permit(self._ctx, DAGSTER, asked).permit
            assert permit is not None
            refs.publish(self._catalog, written, environment.ref, base, candidate, branch)
            record_receipt(self._ctx, DAGSTER, permit.id)
        finish_run(self._ctx, DAGSTER, run_id, pipeline)

    def _data_files(self) -> int:
        return sum(1 for _ in self.home.rglob("*.parquet"))
