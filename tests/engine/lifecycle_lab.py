"""A lab whose pipelines are saved, promoted and run as people do it: real store, real gate, real tables, real Spark."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

import dagster as dg
import pyarrow as pa
import pytest
from dagster import build_reconstructable_job
from lab import Lab, Node, Ran, files, ran_of
from lifecycle_job import QUIET, job_of_loaded

from drls_dagster.asset_keys import node_key
from drls_dagster.assets import nodes
from drls_dagster.cli.lifecycle import welcome
from drls_dagster.dagster_private.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    RESUME_RETRY_TAG,
)
from drls_dagster.lakehouse import refs
from drls_dagster.launch.find import find_pipeline
from drls_dagster.lifecycle_client.gateway import connected_adapters, open_lifecycle
from drls_dagster.lifecycle_client.local import LocalLifecycle
from drls_dagster.lifecycle_client.opening import make_store, signing_key_file, store_url
from drls_dagster.locations.building import Loaded
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.runs.admission import admit
from drls_dagster.runs.part import Part
from drls_dagster.settings import Settings
from drls_dagster.steps.sink import run_sink
from lifecycle.audit import load_signing_key
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Environment
from lifecycle.domain.evidence import answering
from lifecycle.domain.people import system_actor
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Admission, Receipt
from lifecycle.ports import SystemClock
from lifecycle.spec import digest
from lifecycle.store.store import Store
from lifecycle.usecases.context import Context
from lifecycle.usecases.reconcile import Reconciled, reconcile
from lifecycle.usecases.tokens import issue
from lifecycle.verbs.answers import Request

QA, UAT, PRODUCTION = Environment.QA, Environment.UAT, Environment.PRODUCTION
SETUP = system_actor("setup")
HERE = Path(__file__).parent
_ROLES = {"ada": Role.DATA_ENGINEER, "lea": Role.LEAD, "leo": Role.LEAD}


class LifecycleLab(Lab):
    """Ada builds and asks, Lea approves, Leo breaks the glass. Tables are the real ones, not development's."""

    def __init__(self, settings: Settings, stem: str) -> None:
        super().__init__(settings, stem)
        # As the first command of a home does: tests of commands in this home sign in with it.
        make_store(settings, connected_adapters(settings), lambda started: welcome(settings, started))
        self.ctx = open_lifecycle(settings)
        self.tokens: dict[str, str] = {}
        self.ada, self.lea, self.leo = (self._person(name) for name in _ROLES)
        self.instance_here = instance_of(settings)
        self._closing = ExitStack()

    def __exit__(self, *error: object) -> None:
        self._closing.close()
        super().__exit__(*error)

    def _person(self, name: str) -> LocalLifecycle:
        with self.ctx.store.write(SETUP, "setup") as unit:
            person = unit.people.find(name)
            if person is None:
                person = unit.people.add(
                    name=name, kind="human", display_name=name.title(), email=f"{name}@example.org",
                    email_verified=True, password_hash=None, subject=None, acts_for=None, disabled_at=None,
                )  # fmt: skip
                unit.people.add_grant(
                    person_id=person.id, team_id=None, role=_ROLES[name].value, scope="everything", scope_value="",
                    granted_by=None, revoked_at=None,
                )  # fmt: skip
            token = issue(unit, person, TokenKind.PERSONAL, "tests", scopes=tuple(TokenScope), life=timedelta(days=1))
            unit.audit("person.added", f"person:{name}")
        self.tokens[name] = token.secret
        return LocalLifecycle(self.ctx, token.secret, host="here", os_user="tests")

    # Pipelines and people

    def identifier(self, table: str) -> tuple[str, str]:
        return self.ns, table

    def save(self, *parts: Node, flow: str, name: str = "", **more: Any) -> int:
        """Ada saves a version; its number."""
        spec = self.spec(self.pipeline(*parts, flow=flow, name=name, **more))
        return self.ada.pipelines.save(spec, search_path=[self.landing]).number

    def csv(self, **schema: str) -> Node:
        """The source `raw`: the files *.csv of the landing folder, in all environments the same place."""
        return files("raw", self.path("*.csv"), **(schema or {"id": "long"}))

    def ask(self, number: int, target: Environment) -> Request:
        return self.ada.promotions.request(self.name, number, target)

    def approve(self, request: Request) -> Request:
        """Lea approves, and it is executed as far as it goes."""
        return self.lea.promotions.approve(request.id, request.plan_digest)

    def promote(self, number: int, target: Environment) -> Request:
        """Ada asks, Lea approves where that is needed; it must be done then."""
        request = self.ask(number, target)
        done = self.approve(request) if target.governed else self.ada.promotions.execute(request.id)
        assert done.state is State.DONE, done.outcome or done.waiting
        return done

    def newest_request(self) -> int:
        """The number of what was asked for last."""
        return max(one.id for one in self.ada.promotions.list(pipeline=self.name))

    def deploy(self, number: int, *targets: Environment) -> None:
        """Leo breaks the glass: the shortest way for a version to be where a test begins."""
        for target in targets:
            done = self.leo.promotions.break_glass(self.name, number, target, reason="a test begins here")
            assert done.state is State.DONE, done.outcome

    # Runs

    def found(self, environment: Environment) -> Loaded:
        """What is deployed there now, as a code location would hold it."""
        return find_pipeline(self.name, self.settings, environment)

    def queue(self, environment: Environment) -> tuple[Loaded, Admission]:
        """A run that waits in the queue: the coordinator has admitted it with what is deployed now."""
        loaded = self.found(environment)
        assert loaded.spec is not None
        run_id = str(uuid.uuid4())
        part = Part(self.name, digest(loaded.spec), environment)
        admission = admit(self.settings, part, run_id, run_key=run_id, parameters={})
        assert admission is not None
        return loaded, admission

    def run_in(
        self,
        environment: Environment,
        *,
        partition: str | None = None,
        span: tuple[str, str] | None = None,
        queued: tuple[Loaded, Admission] | None = None,
        at: Callable[[str], None] | None = None,
    ) -> Ran:
        """A run of what is deployed, or of what was `queued`; `at` is told the stages that each sink reaches."""
        loaded = queued[0] if queued else self.found(environment)
        job = job_of_loaded(loaded, environment, self.settings)
        tags = {ASSET_PARTITION_RANGE_START_TAG: span[0], ASSET_PARTITION_RANGE_END_TAG: span[1]} if span else {}
        with pytest.MonkeyPatch.context() as patched:
            if at is not None:
                patched.setattr(nodes, "run_sink", partial(run_sink, at=at))
            result = job.execute_in_process(
                instance=self.instance_here,
                run_id=queued[1].run_id if queued else None,
                run_config=QUIET,
                partition_key=partition,
                tags=tags,
                raise_on_error=False,
            )
        return ran_of(result, self._nodes(loaded, environment))

    def resume(self, environment: Environment, run_id: str) -> Ran:
        """Re-execution from failure with what is deployed now."""
        there = {"home": str(self.settings.home), "name": self.name, "environment": environment.value}
        job = build_reconstructable_job("lifecycle_job", "deployed_job", (), there, str(HERE))
        with dg.execute_job(
            job,
            self.instance_here,
            run_config=QUIET,
            tags={RESUME_RETRY_TAG: "true"},
            reexecution_options=dg.ReexecutionOptions.from_failure(run_id, self.instance_here),
        ) as result:
            return ran_of(result, self._nodes(self.found(environment), environment))

    def works(self, environment: Environment, **more: Any) -> Ran:
        """A run that must succeed."""
        ran = self.run_in(environment, **more)
        assert ran.success, ran.failures
        return ran

    def walk(self, number: int, *targets: Environment) -> list[Ran]:
        """A version is promoted and runs in one environment after the other."""
        ran: list[Ran] = []
        for target in targets:
            self.promote(number, target)
            ran.append(self.works(target))
        return ran

    def killed_at(self, environment: Environment, stage: str) -> subprocess.Popen[bytes]:
        """A run in a process of its own that gets SIGKILL when it comes to `stage` (see `lifecycle_job`)."""
        return self._job(environment, stage)

    def held_at(
        self, environment: Environment, stage: str, folder: Path, name: str, log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """A run of the pipeline `name` in a process of its own that waits at `stage` (see `lifecycle_job`)."""
        return self._job(environment, stage, str(folder), name=name, log=log)

    def _job(
        self, environment: Environment, *stage: str, name: str = "", log: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        words = [str(self.settings.home), name or self.name, environment.value, *stage]
        env = {**os.environ, "DAGSTER_HOME": "", "PYTHONPATH": str(HERE.parents[1])}
        return subprocess.Popen(
            [sys.executable, str(HERE / "lifecycle_job.py"), *words], env=env, stdout=log, stderr=log
        )

    def _nodes(self, loaded: Loaded, environment: Environment) -> Mapping[dg.AssetKey, str]:
        spec = loaded.spec
        assert spec is not None
        catalog = self.settings.catalog.name
        return {node_key(spec, one.id, environment, catalog): one.id for one in (*spec.transforms, *spec.sinks)}

    # Tables and what is known of them

    def head(self, table: str, ref: str = "main") -> int | None:
        return refs.head(self.table(table), ref)

    def on(self, table: str, ref: str, *columns: str) -> list[tuple[Any, ...]]:
        """The rows of a branch, sorted, with the table's present columns."""
        scan = self.table(table).scan(selected_fields=columns or ("*",)).use_ref(ref)
        return sorted((tuple(row.values()) for row in scan.to_arrow().to_pylist()), key=repr)

    def foreign(self, table: str, ref: str = "main", **row: Any) -> int:
        """A write past DRLS, by whoever has the catalog's credentials."""
        found = self.table(table)
        found.append(pa.Table.from_pylist([row], found.schema().as_arrow()), branch=ref)
        head = self.head(table, ref)
        assert head is not None
        return head

    def receipts(self, table: str, environment: Environment) -> tuple[Receipt, ...]:
        with self.ctx.store.read() as view:
            return view.runs.receipts_on(self.named(table), environment)

    def unanswered(self, table: str, environment: Environment, since: int | None = None) -> list[int]:
        """The snapshots of the environment's ref that no receipt answers for (L11): there must be none."""
        found = self.table(table)
        chain: list[int] = []
        for snapshot in refs.ancestors(found, refs.head(found, environment.ref)):
            if snapshot.snapshot_id == since:
                break
            chain.append(snapshot.snapshot_id)
        by_snapshot = {one.snapshot: one for one in self.receipts(table, environment)}
        named = [by_snapshot.get(one) for one in chain]
        return [one for one, receipt in zip(chain, answering(chain, named), strict=True) if receipt is None]

    def reconciled(self) -> Reconciled:
        return reconcile(self.ctx, SETUP)

    def later(self) -> Context:
        """The same lifecycle when every lease is over."""
        key = load_signing_key(signing_key_file(self.settings))
        store = Store.open(store_url(self.settings), key, Later())
        self._closing.callback(store.close)
        return Context(store, self.ctx.plane, self.ctx.orchestrator, Later(), "later")


class Later(SystemClock):
    """A clock ahead of the machine's by more than every lease."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=5)
