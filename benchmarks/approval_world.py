"""Pipelines that have run in QA and wait for their approval, and a `drls up` through which somebody approves."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.lab import CHECKOUT, Lab, run_seconds
from drls_dagster.dagster_private.automation import InstigatorType
from drls_dagster.launch.choices import select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.launch.run import launch
from drls_dagster.lifecycle_client.gateway import connected_adapters
from drls_dagster.lifecycle_client.http import HttpLifecycle
from drls_dagster.lifecycle_client.local import LocalLifecycle
from drls_dagster.lifecycle_client.opening import open_context
from drls_dagster.orchestrator.graphql import launch_run
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.orchestrator.running_up import running_up
from drls_dagster.settings import Settings
from drls_dagster.tags import ENVIRONMENT_TAG, PIPELINE_TAG
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import system_actor
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import State
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.tokens import issue
from lifecycle.verbs.answers import Request

READY_SECONDS, RUN_SECONDS = 120.0, 180.0
QA, UAT = Environment.QA, Environment.UAT


class Approvals:
    """One person may decide on own work: what is measured is what follows the decision."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._settings = lab.settings
        self._ctx = open_context(lab.settings, connected_adapters(lab.settings), lambda _: None)
        setup = system_actor("bench")
        with self._ctx.store.write(setup, "setup") as unit:
            person = unit.people.all()[0]
            self._token = issue(
                unit, person, TokenKind.PERSONAL, "bench", scopes=tuple(TokenScope), life=timedelta(days=1)
            ).secret
            unit.audit("token.issued", f"person:{person.name}")
        me = LocalLifecycle(self._ctx, self._token, host="bench", os_user="bench")
        me.environments.set_policy(UAT, None, Policy(quorum="1 Admin", approvals="solo", on_promote="run"))
        self._me = me
        landing = Path(lab.settings.landing_for(Environment.DEVELOPMENT)) / "approval"
        landing.mkdir(parents=True, exist_ok=True)
        (landing / "rows.csv").write_text("id\n" + "\n".join(str(number) for number in range(100)))

    def close(self) -> None:
        self._ctx.store.close()

    def release(self, name: str) -> None:
        """A pipeline whose first version is in QA, where nothing has run."""
        version = self._me.pipelines.save(self._spec(name))
        done = self._me.promotions.execute(self._me.promotions.request(name, version.number, QA).id)
        assert done.state is State.DONE, done.outcome

    def prepare(self, name: str) -> None:
        """A pipeline that has its evidence of QA."""
        self.release(name)
        loaded = find_pipeline(name, self._settings, QA)
        assert loaded.spec is not None
        nodes = select_nodes(loaded.spec, None)
        run_seconds(launch(loaded, self._settings, QA, nodes=nodes, parameters={}, partitions=None))

    def _spec(self, name: str) -> PipelineSpec:
        source: dict[str, Any] = {
            "kind": "files",
            "format": "csv",
            "path": "approval/rows.csv",
            "schema": {"id": "long"},
        }
        source["options"] = {"header": "true"}
        nodes: list[dict[str, Any]] = [
            {"id": "raw", "type": "source", "source": source},
            {"id": "doubled", "type": "transform", "step": "spark", "sql": "SELECT id, 2 * id AS twice FROM raw"},
            {"id": "kept", "type": "sink", "table": f"{name}.kept", "mode": "overwrite"},
        ]
        edges = [{"from": "raw", "to": "doubled"}, {"from": "doubled", "to": "kept"}]
        return PipelineSpec.model_validate({"format_version": 1, "name": name, "nodes": nodes, "edges": edges})

    @contextlib.contextmanager
    def up(self, *command: str) -> Iterator[Clicks]:
        """`command` and a port start it; later it is gone, but the engine is not."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = str(probe.getsockname()[1])
        log = self._lab.folder / f"up-{port}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *command, port],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=CHECKOUT, start_new_session=True,
            )  # fmt: skip
        try:
            _wait(lambda: b"up in" in log.read_bytes() or process.poll() is not None, READY_SECONDS, "drls up")
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} ended: {log.read_text()[-2000:]}")
            client = HttpLifecycle(f"http://127.0.0.1:{port}", self._token, host="bench")
            try:
                yield Clicks(client, self._settings)
            finally:
                client.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


class Clicks:
    """Somebody who approves through the app, and what Dagster then does."""

    def __init__(self, client: HttpLifecycle, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._instance = instance_of(settings)

    def launch(self, name: str, environment: Environment) -> float:
        """Seconds from the launch of a run to its first step's start; returns when the run is over."""
        (seconds,) = self.launch_all([name], environment)
        return seconds

    def launch_all(self, names: Sequence[str], environment: Environment) -> list[float]:
        """The same for runs that are launched one right after the other, each from the launch of the first."""
        up = running_up(self._settings)
        assert up is not None
        launched = time.time()
        runs = [launch_run(up, environment, name, "bench") for name in names]
        started = [self._start_of(run_id) - launched for run_id in runs]
        for run_id in runs:
            _wait(lambda one=run_id: self._is_over(one), RUN_SECONDS, f"the end of run {run_id}")
        return started

    def _start_of(self, run_id: str) -> float:
        found: list[float] = []

        def has_started() -> bool:
            found[:] = self._steps_of(run_id)
            if not found and self._is_over(run_id):
                raise RuntimeError(f"run {run_id} ended without a step")
            return bool(found)

        _wait(has_started, RUN_SECONDS, f"a step of run {run_id}")
        return min(found)

    def _steps_of(self, run_id: str) -> list[float]:
        records = self._instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_START).records
        return [one.event_log_entry.timestamp for one in records]

    def _is_over(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    def approve(self, name: str, *, after_tick: float | None = None) -> float:
        """Seconds from the click to the first step's start. `after_tick`: so long after UAT's sensor looked."""
        asked = self._client.promotions.request(name, 1, UAT)
        if after_tick is not None:
            self._wait_for_tick(after_tick)
        clicked = time.time()
        done: Request = self._client.promotions.approve(asked.id, asked.plan_digest)
        assert done.state is State.DONE, done.outcome or done.waiting
        started: list[float] = []

        def has_started() -> bool:
            started[:] = self._first_step(name)
            return bool(started)

        _wait(has_started, RUN_SECONDS, f"a step of {name} in UAT")
        _wait(lambda: all(run.is_finished for run in self._runs(name)), RUN_SECONDS, f"the end of {name}'s run")
        return started[0] - clicked

    def _runs(self, name: str) -> Sequence[dg.DagsterRun]:
        tags = {PIPELINE_TAG: name, ENVIRONMENT_TAG: UAT.value}
        return self._instance.get_runs(dg.RunsFilter(tags=tags))

    def _first_step(self, name: str) -> list[float]:
        """When it began, seconds since the epoch, as Dagster's event log says. Raises RuntimeError if it never will."""
        for run in self._runs(name):
            if started := self._steps_of(run.run_id):
                return [min(started)]
            if run.is_finished:
                raise RuntimeError(f"the run of {name} in UAT ended without a step")
        return []

    def _wait_for_tick(self, seconds: float) -> None:
        """Until so long after the next time that UAT's deployments sensor is evaluated."""
        before = self._tick()
        _wait(lambda: self._tick() > before, READY_SECONDS, "a tick of UAT's deployments sensor")
        until = self._tick() + seconds
        _wait(lambda: time.time() >= until, READY_SECONDS, "the moment")

    def _tick(self) -> float:
        for state in self._instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
            if state.name == f"{UAT.value}_deployments":
                return getattr(state.instigator_data, "last_tick_timestamp", None) or 0.0
        return 0.0


def _wait(done: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come in {seconds:.0f} s")
        time.sleep(0.05)
