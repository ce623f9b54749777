"""What the engine tests work with: pipelines as Python calls, runs through Dagster, tables through PyIceberg."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import dagster as dg
import pyarrow as pa
from dagster import build_reconstructable_job
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from drls_dagster.asset_keys import node_key
from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.dagster_private.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    RESUME_RETRY_TAG,
)
from drls_dagster.engine import session as engine_session
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.columns import arrow_schema
from drls_dagster.ledger import open_ledger
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.memory import Executing, RunMemory
from drls_dagster.runs.service import RunService
from drls_dagster.settings import Settings, load_settings
from drls_dagster.steps.frames import Frames
from drls_dagster.steps.kinds import BUILDERS
from drls_dagster.steps.run import PipelineRun
from drls_dagster.steps.sink import Published, run_sink
from drls_dagster.steps.window import Window
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec, load_pipeline, parse_pipeline, resolve_lock
from tests.fakes.own_run import client_of

Node = dict[str, Any]
ENVIRONMENT = Environment.DEVELOPMENT


def files(node: str, path: str, **schema: str) -> Node:
    source = {"kind": "files", "format": "csv", "path": path, "options": {"header": "true"}, "schema": schema}
    return {"id": node, "type": "source", "source": source}


def iceberg(node: str, table: str, read: str = "full", **more: Any) -> Node:
    return {"id": node, "type": "source", "source": {"kind": "iceberg", "table": table, "read": read, **more}}


def sql(node: str, text: str) -> Node:
    return {"id": node, "type": "transform", "step": "spark", "sql": text}


def python(node: str, text: str) -> Node:
    return {"id": node, "type": "transform", "step": "spark", "python": text}


def ray(node: str, text: str, **output_schema: str) -> Node:
    return {"id": node, "type": "transform", "step": "rayProcess", "python": text, "output_schema": output_schema}


def custom(node: str, *command: str, **more: Any) -> Node:
    return {"id": node, "type": "transform", "step": "custom", "command": list(command), **more}


def sink(node: str, table: str, mode: str = "append", **more: Any) -> Node:
    return {"id": node, "type": "sink", "table": table, "mode": mode, **more}


def monitor(node: str, *checks: Mapping[str, Any]) -> Node:
    return {"id": node, "type": "monitor", "checks": list(checks)}


def edges(text: str) -> list[dict[str, str]]:
    """`a>b>c, b>d` as a pipeline file writes it."""
    found: list[dict[str, str]] = []
    for chain in text.split(","):
        names = [name.strip() for name in chain.split(">")]
        found += [{"from": a, "to": b} for a, b in itertools.pairwise(names)]
    return found


def wait_for(what: str, condition: Callable[[], object], seconds: float = 120) -> None:
    """Raises AssertionError when it does not come true in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


@dataclass
class Ran:
    """How a run through Dagster ended."""

    run_id: str
    success: bool
    failures: dict[str, str] = field(default_factory=dict)  # node -> what Dagster shows
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)  # node -> metadata of its materialization
    checks: dict[str, tuple[bool, str, str]] = field(default_factory=dict)  # name -> passed, severity, text
    retried: list[str] = field(default_factory=list)

    @property
    def failure(self) -> str:
        """The one failure there is."""
        (text,) = self.failures.values()
        return text


class Lab:
    """One test's corner of the home: its own namespace, landing folder, pipeline name and Dagster instance."""

    def __init__(self, settings: Settings, stem: str) -> None:
        self.settings = settings
        self.name = f"{stem}_{uuid.uuid4().hex[:6]}"
        self.ns = f"n{uuid.uuid4().hex[:10]}"
        self.landing = Path(settings.landing_for(ENVIRONMENT)) / self.ns
        self.catalog = load_catalog(settings)
        self.ledger = open_ledger(settings)
        self._stack = ExitStack()
        self._instance: dg.DagsterInstance | None = None
        self._session: engine_session.EngineSession | None = None

    def __enter__(self) -> Self:
        self.landing.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self.ledger.close()

    # Sources and tables

    def file(self, name: str, text: str) -> Path:
        """A file in the test's landing folder; `path(name)` is how a pipeline names it."""
        path = self.landing / name
        path.write_text(text)
        return path

    def path(self, pattern: str) -> str:
        return f"{self.ns}/{pattern}"

    def named(self, table: str) -> str:
        """A table of this test as pipelines name it."""
        return f"{self.ns}.{table}"

    def identifier(self, table: str) -> tuple[str, str]:
        return f"{self.ns}__{ENVIRONMENT}", table

    def create(self, table: str, /, **schema: str) -> Table:
        """An empty table that no pipeline writes, in the environment's namespace."""
        self.catalog.create_namespace_if_not_exists(self.identifier(table)[:1])
        return self.catalog.create_table(self.identifier(table), arrow_schema(schema))

    def append(self, table: str, *rows: Sequence[Any]) -> int:
        """A second writer's commit; returns the snapshot."""
        found = self.table(table)
        schema = found.schema().as_arrow()
        columns = [pa.array([row[at] for row in rows], field.type) for at, field in enumerate(schema)]
        found.append(pa.table(columns, schema=schema))
        head = refs.head(self.table(table), "main")
        assert head is not None
        return head

    def table(self, table: str) -> Table:
        return self.catalog.load_table(self.identifier(table))

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """The rows of `main`, sorted."""
        scan = self.table(table).scan(selected_fields=columns or ("*",))
        return sorted((tuple(row.values()) for row in scan.to_arrow().to_pylist()), key=repr)

    def summary(self, table: str) -> Mapping[str, str]:
        """That of the head of `main`."""
        snapshot = self.table(table).current_snapshot()
        return {} if snapshot is None else refs.summary(snapshot)

    def branches(self, table: str) -> list[str]:
        """The branches besides `main`."""
        return sorted(name for name in self.table(table).metadata.refs if name != "main")

    def sql(self, text: str) -> list[Any]:
        """Through the engine, in a session that runs do not use; `{table:name}` is a table of this test."""
        return self.session.spark.sql(text).collect()

    def spark_name(self, table: str) -> str:
        return ".".join((self.settings.catalog.name, *self.identifier(table)))

    @property
    def session(self) -> engine_session.EngineSession:
        if self._session is None or not self._session.is_alive:
            self._session = self._stack.enter_context(engine_session.session(self.settings))
        return self._session

    # Pipelines

    def pipeline(self, *nodes: Node, flow: str, name: str = "", **more: Any) -> str:
        """The text of a pipeline file."""
        spec = {"format_version": 1, "name": name or self.name, "nodes": nodes, "edges": edges(flow), **more}
        return json.dumps(spec)

    def spec(self, text: str) -> PipelineSpec:
        return resolve_lock(parse_pipeline(text), [self.landing])

    @property
    def instance(self) -> dg.DagsterInstance:
        if self._instance is None:
            self._instance = self._stack.enter_context(dg.DagsterInstance.ephemeral())
        return self._instance

    def run(
        self,
        text: str,
        *,
        params: Mapping[str, Any] | None = None,
        partition: str | None = None,
        partition_range: tuple[str, str] | None = None,
        select: Sequence[str] | None = None,
        resume: str | None = None,
        again: str | None = None,
    ) -> Ran:
        """Run the pipeline through Dagster in this process.

        `resume` is the id of a run to re-execute from failure, `again` that of one to re-execute all of.
        """
        spec = self.spec(text)
        path = self.landing / f"{uuid.uuid4().hex}.json"  # Dagster remembers what it made of a path
        path.write_text(text)
        job = build_reconstructable_job(
            "lab", "job_of", (), {"path": str(path), "home": str(self.settings.home)}, str(Path(__file__).parent)
        )
        tags: dict[str, str] = {}
        if partition:
            tags[PARTITION_NAME_TAG] = partition
        if partition_range:
            tags[ASSET_PARTITION_RANGE_START_TAG], tags[ASSET_PARTITION_RANGE_END_TAG] = partition_range
        options = None
        if resume:
            tags[RESUME_RETRY_TAG] = "true"  # as Dagster's web server and daemon say it
            options = dg.ReexecutionOptions.from_failure(resume, self.instance)
        elif again:
            options = dg.ReexecutionOptions(parent_run_id=again)
        key = self.key_of(spec)
        with dg.execute_job(
            job,
            self.instance,
            run_config={"resources": {f"{spec.name}_parameters": {"config": dict(params)}}} if params else None,
            tags=tags or None,
            reexecution_options=options,
            asset_selection=[key(node) for node in select] if select else None,
        ) as result:
            return ran_of(result, {key(node.id): node.id for node in spec.nodes if node.type != "monitor"})

    def key_of(self, spec: PipelineSpec) -> Callable[[str], dg.AssetKey]:
        return lambda node: node_key(spec, node, ENVIRONMENT, self.settings.catalog.name)

    def prepare(
        self,
        text: str,
        *,
        spec: PipelineSpec | None = None,
        window: Window | None = None,
        run_key: str | None = None,
        catalog: Catalog | None = None,
        session: engine_session.EngineSession | None = None,
        **params: Any,
    ) -> Step:
        """The sinks of a pipeline without Dagster around them, in a session of their own. `spec`: locked before.

        `catalog`: the platform's, where that is not the home's. `session`: one that the test opened for several.
        """
        spec = spec or self.spec(text)
        run_id = uuid.uuid4().hex
        opened = session or self._stack.enter_context(engine_session.session(self.settings))
        service = RunService(self.settings, catalog=lambda: catalog or self.catalog)
        runs = client_of(self.settings, spec, ENVIRONMENT, run_id, run_key, service)
        executing = Executing(runs, self.settings)
        self._stack.callback(executing.leave)
        run = PipelineRun(
            spec=spec,
            environment=ENVIRONMENT,
            settings=self.settings,
            catalog=RunCatalog(self.settings.catalog.name, runs),
            runs=runs,
            memory=RunMemory(runs, executing),
            open_session=lambda: opened,
            run_id=run_id,
            run_key=run_key or run_id,
            parameters=params,
            window=window,
            search_path=(str(self.landing),),
        )
        return Step(run)

    def kill_run(self, text: str, is_at_work: Callable[[], object]) -> list[Path]:
        """Runs a pipeline in a process of its own and kills that at work; the private folders that it had."""
        file, here = self.file("killed.json", text), Path(__file__)
        env = {**os.environ, "PYTHONPATH": f"{here.parents[2]}{os.pathsep}{here.parent}"}
        worker = subprocess.Popen([sys.executable, str(here), str(self.settings.home), str(file)], env=env)
        wait_for("its work", lambda: worker.poll() is not None or is_at_work())
        assert worker.poll() is None
        private = self.settings.home / "private"
        folders = [one for one in private.iterdir() if one.name.startswith(f"{worker.pid}-")]
        assert folders
        worker.kill()
        worker.wait()
        return folders


class Step:
    """A run whose sinks a test runs one by one, with something happening in between."""

    def __init__(self, run: PipelineRun) -> None:
        self.run = run
        self.frames = Frames(run, BUILDERS)

    def sink(self, node: str, at: Callable[[str], None] = lambda _: None) -> Published:
        from drls_dagster.assets.nodes import checks_of
        from lifecycle.spec import SinkNode

        found = self.run.spec.node(node)
        assert isinstance(found, SinkNode)
        return run_sink(self.run, self.frames, found, checks_of(self.run.spec, node), at)


def on(stage: str, act: Callable[[], object], times: int = 1) -> Callable[[str], None]:
    """A hook that acts the first `times` times that a sink reaches a stage."""
    count = 0

    def hook(reached: str) -> None:
        nonlocal count
        if reached == stage and count < times:
            count += 1
            act()

    return hook


def job_of(path: str, home: str) -> dg.JobDefinition:
    """The job of a pipeline file: what Dagster calls to make it again."""
    file = Path(path)
    spec = resolve_lock(load_pipeline(file), [file.parent])
    settings = load_settings(Path(home))
    return compile_pipeline(spec, ENVIRONMENT, settings, search_path=(file.parent,)).resolve_job_def(spec.name)


def ran_of(result: dg.JobExecutionResult | dg.ExecuteInProcessResult, nodes: Mapping[dg.AssetKey, str]) -> Ran:
    """What Dagster tells of a run; `nodes` are the ids of its assets."""
    ran = Ran(result.run_id, result.success)
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            told = data.user_failure_data
            text = (told.description or "") if told else f"not a dg.Failure: {data.error}"
            ran.failures[(event.step_key or "").split("__")[-1]] = text
        elif event.is_step_up_for_retry:
            ran.retried.append((event.step_key or "").split("__")[-1])
        elif event.is_step_materialization:
            found = event.step_materialization_data.materialization
            ran.tables[nodes[found.asset_key]] = {name: value.value for name, value in found.metadata.items()}
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            told = event.asset_check_evaluation_data
            ran.checks[told.check_name] = (told.passed, told.severity.value, told.description or "")
    return ran


def main() -> None:
    """Run a pipeline in a process of its own, which a test may kill: `python lab.py HOME FILE`."""
    import sys

    home, path = sys.argv[1:]
    with dg.DagsterInstance.ephemeral() as instance:
        job_of(path, home).execute_in_process(instance=instance)


if __name__ == "__main__":
    main()
