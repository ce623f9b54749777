"""Run a pipeline in this process, through Dagster, and tell what happens as it happens."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from drls_dagster.errors import UsageError
from drls_dagster.settings import Settings, examples_folder, private_home
from lifecycle.domain.environment import Environment
from lifecycle.errors import NotFound

if TYPE_CHECKING:
    import dagster as dg

    from drls_dagster.pipeline_files import Loaded
    from lifecycle.spec import PipelineSpec

State = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass
class StepProgress:
    """A step of a run as it goes. Times are seconds."""

    node: str
    kind: str
    state: State = "waiting"
    seconds: float | None = None
    message: str = ""


@dataclass
class RunOutcome:
    """How a run ended. `tables` and `checks` are what its sinks and monitors reported."""

    run_id: str
    success: bool = False
    interrupted: bool = False  # by Ctrl-C, or by whoever ends processes
    seconds: float = 0.0
    partition: str | None = None
    steps: list[StepProgress] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failure(self) -> str:
        return next((step.message for step in self.steps if step.state == "failed"), "")


@dataclass(frozen=True)
class Partitions:
    """What of a partitioned pipeline one run covers: one key, or a range of them."""

    first: str
    last: str

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}...{self.last}"


def find_pipeline(name: str, settings: Settings, environment: str = "development") -> Loaded:
    """The pipeline of that name as it is deployed in `environment`.

    In development also that of a file, or an unsaved one of the configured folder. Raises UsageError; NotFound for a
    name that no pipeline has there.
    """
    from drls_dagster.locations.deployed import load_deployed
    from drls_dagster.pipeline_files import SUFFIXES, load_file

    path, label = Path(name), Environment(environment).label
    if path.suffix in SUFFIXES or path.is_file():
        if environment != "development":
            raise UsageError(f"{name} is a file, and files run in development; save it and promote it to {label}")
        if not path.is_file():
            raise UsageError(f"there is no file {name}")
        loaded = load_file(path)
    else:
        all_loaded = load_deployed(environment, settings)
        found = [one for one in all_loaded if name in (one.name, one.said)]
        if not found:
            known = ", ".join(sorted(one.name for one in all_loaded)) or "none"
            where = f"in {label}" if environment != "development" else f"in {settings.pipeline_folder}"
            if environment == "development":
                remedy = _example(name)
            else:
                remedy = f"; promote one: drls promote {name} --to {environment}"
            raise NotFound(f"there is no pipeline {name!r} {where}; there are: {known}{remedy}")
        loaded = found[0]
    if loaded.spec is None:
        raise UsageError(f"{loaded.path.name} cannot be used: {loaded.problem or 'it cannot be read'}")
    return loaded


def _example(name: str) -> str:
    """How to run the example of that name; empty when there is none. A folder of one's own hides the examples."""
    here = Path.cwd()
    files = [file for file in examples_folder().rglob("*.yaml") if file.stem == name]
    shown = [file.relative_to(here) if file.is_relative_to(here) else file for file in files]
    return "".join(f"; it is an example: drls run {file}" for file in shown)


def dagster_home(settings: Settings) -> Path:
    """DRLS_HOME/dagster, with a dagster.yaml that has the gate. The environment's DAGSTER_HOME is set to it."""
    from drls_dagster.orchestrator.dagster_yaml import write_dagster_yaml

    folder = private_home(settings.home, "dagster")
    write_dagster_yaml(folder)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def read_parameters(spec: PipelineSpec, given: Sequence[str]) -> dict[str, Any]:
    """`name=value` texts as run configuration values. Raises UsageError naming the parameter."""
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--param {text!r} is not name=value")
        if name not in spec.parameters:
            known = ", ".join(spec.parameters) or "none"
            raise UsageError(f"pipeline '{spec.name}' has no parameter '{name}'; it has: {known}")
        try:
            coerced = spec.parameters[name].coerce(value)
        except ValueError as error:
            raise UsageError(f"parameter '{name}': {error}") from None
        values[name] = coerced if isinstance(coerced, str | int | float | bool) else coerced.isoformat()
    for name, parameter in spec.parameters.items():
        if parameter.default is None and name not in values:
            raise UsageError(f"parameter '{name}' has no default; give it with --param {name}=…")
    return values


def read_partitions(spec: PipelineSpec, text: str | None, *, each: bool) -> list[Partitions | None]:
    """What `--partition` names, one entry per run. Raises UsageError.

    A key, `first...last`, or `all`; the beginning of keys (`2024-01` of days) names all of those.
    """
    from drls_dagster.assets.partitions import partitions_definition

    definition = partitions_definition(spec)
    if definition is None:
        if text is not None:
            raise UsageError(f"pipeline '{spec.name}' is not partitioned; leave --partition out")
        return [None]
    keys = list(definition.get_partition_keys())
    if not keys:
        raise UsageError(f"pipeline '{spec.name}' has no complete partition yet")
    span = f"{keys[0]}...{keys[-1]}"
    if text is None:
        raise UsageError(f"pipeline '{spec.name}' is partitioned; give --partition KEY, FIRST...LAST or all ({span})")
    first, dots, last = text.partition("...") if text != "all" else (keys[0], "...", keys[-1])
    chosen: list[str] = []
    for end in (first, last if dots else first):
        match = [key for key in keys if key == end] or [key for key in keys if key.startswith(end) and end]
        if not match:
            raise UsageError(f"pipeline '{spec.name}' has no partition {end!r}; it has {span}")
        chosen.append(match[0] if len(chosen) == 0 else match[-1])
    low, high = keys.index(chosen[0]), keys.index(chosen[1])
    if low > high:
        raise UsageError(f"--partition {text}: {chosen[0]} is after {chosen[1]}")
    if each or spec.partitions is None or spec.partitions.kind == "static":
        return [Partitions(key, key) for key in keys[low : high + 1]]
    return [Partitions(keys[low], keys[high])]


def select_nodes(spec: PipelineSpec, selection: str | None) -> list[str]:
    """Node ids that `--select` names: `a,b`, with `+a` everything upstream too, with `a+` downstream too.

    Raises UsageError naming a node that is not there, or that is not a step.
    """
    steps = [node.id for node in (*spec.transforms, *spec.sinks)]
    if selection is None:
        return [name for name in spec.topological() if name in steps]
    chosen: set[str] = set()
    for word in filter(None, selection.replace(",", " ").split()):
        name = word.strip("+")
        if name not in steps:
            raise UsageError(f"pipeline '{spec.name}' has no step '{name}'; it has: {', '.join(steps)}")
        chosen.add(name)
        if word.startswith("+"):
            chosen.update(spec.ancestors(name))
        if word.endswith("+"):
            chosen.update(other for other in steps if name in spec.ancestors(other))
    if not chosen:
        raise UsageError("--select names no step")
    return [name for name in spec.topological() if name in chosen and name in steps]


def launch(
    loaded: Loaded,
    settings: Settings,
    environment: str,
    *,
    nodes: Sequence[str],
    parameters: Mapping[str, Any],
    partitions: Partitions | None,
    changed: Callable[[RunOutcome], None] = lambda _: None,
) -> RunOutcome:
    """Run the nodes of a pipeline; `changed` is called whenever a step starts or ends.

    Raises UsageError where this release cannot build the pipeline, and KeyboardInterrupt where it is interrupted
    between two steps. A step that fails, or is interrupted, is in the outcome.
    """
    import time
    import uuid

    import dagster as dg
    from dagster._core.errors import DagsterExecutionInterruptedError
    from dagster._core.instance.ref import InstanceRef
    from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG, USER_TAG

    from drls_dagster.asset_keys import node_key
    from drls_dagster.assets.compile import compile_pipeline
    from drls_dagster.assets.scope import parameters_key
    from drls_dagster.lifecycle_client.opening import os_user
    from drls_dagster.orchestrator.event_log import batching
    from drls_dagster.orchestrator.instance import make_storage
    from drls_dagster.orchestrator.run_output import showing_output

    spec = loaded.spec
    assert spec is not None, "find_pipeline gives only pipelines that load"  # noqa: S101
    with _quiet():
        search_path = (loaded.path.parent.resolve(),)
        definitions = compile_pipeline(spec, environment, settings, search_path=search_path, release=loaded.release)
    keys = {name: node_key(spec, name, environment, settings.catalog.name) for name in nodes}
    outcome = RunOutcome(str(uuid.uuid4()), partition=str(partitions) if partitions else None)
    outcome.steps = [StepProgress(name, spec.node(name).type) for name in nodes]
    # Nobody is signed in here: Dagster's list of runs shows whose account of this machine it was.
    tags: dict[str, str] = {USER_TAG: os_user()}
    partition_key = None
    if partitions is not None and partitions.first == partitions.last:
        partition_key = partitions.first
    elif partitions is not None:
        tags |= {
            ASSET_PARTITION_RANGE_START_TAG: partitions.first,
            ASSET_PARTITION_RANGE_END_TAG: partitions.last,
        }
    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if spec.parameters:
        config["resources"] = {parameters_key(spec): {"config": dict(parameters)}}
    started = time.monotonic()
    make_storage(settings)
    ref = showing_output(batching(InstanceRef.from_dir(str(dagster_home(settings)))))
    with dg.DagsterInstance.from_ref(ref) as instance:
        follower = _Follower(outcome, {key.to_python_identifier(): name for name, key in keys.items()}, changed)
        instance.add_event_listener(outcome.run_id, follower)
        try:
            with _quiet():
                result = definitions.resolve_job_def(spec.name).execute_in_process(
                    instance=instance,
                    run_id=outcome.run_id,
                    run_config=config,
                    asset_selection=[*keys.values()],
                    partition_key=partition_key,
                    tags=tags,
                    raise_on_error=False,
                )
        except DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
    for step in outcome.steps:
        if step.state == "waiting":
            step.state = "skipped"
    _note_outcome(settings)
    outcome.success = result.success
    outcome.seconds = time.monotonic() - started
    return outcome


def _note_outcome(settings: Settings) -> None:
    """Where no `drls up` reconciles, nobody else would; that it cannot be noted changes nothing about the run."""
    from drls_dagster.gate.admission import lifecycle_of
    from drls_dagster.lifecycle_client.gateway import gateway_actor
    from lifecycle.errors import DrlsError
    from lifecycle.usecases.note_outcomes import note_outcomes

    with contextlib.suppress(DrlsError):
        ctx = lifecycle_of(settings)
        if ctx is not None:
            note_outcomes(ctx, gateway_actor("run"))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dagster's notices (a beta feature, a default) are not what a person running a pipeline asked for."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Follower:
    """Turns Dagster's events into the progress of steps."""

    def __init__(self, outcome: RunOutcome, nodes: Mapping[str, str], changed: Callable[[RunOutcome], None]) -> None:
        self.outcome = outcome
        self.steps = {key: step for key, name in nodes.items() for step in outcome.steps if step.node == name}
        self.changed = changed

    def __call__(self, entry: dg.EventLogEntry, _cursor: object = None) -> None:
        event = entry.dagster_event
        step = self.steps.get(event.step_key or "") if event else None
        if event is None or step is None:
            return
        kind = event.event_type_value
        if kind == "STEP_START":
            step.state = "running"
        elif kind == "STEP_SUCCESS":
            step.state, step.seconds = "done", event.step_success_data.duration_ms / 1000
        elif kind == "STEP_SKIPPED":
            step.state = "skipped"
        elif kind in {"STEP_FAILURE", "STEP_UP_FOR_RETRY"}:
            step.message = _failure_text(event)
            if step.message == _INTERRUPTED:
                step.message, self.outcome.interrupted = "interrupted", True
            step.state = "failed" if kind == "STEP_FAILURE" else "running"
        elif kind == "ASSET_MATERIALIZATION":
            self._materialized(step, event)
        elif kind == "ASSET_CHECK_EVALUATION":
            data = event.asset_check_evaluation_data
            self.outcome.checks.append(
                {
                    "node": step.node,
                    "check": data.check_name,
                    "passed": data.passed,
                    "severity": "blocking" if data.severity.value == "ERROR" else "warn",
                    "message": data.description,
                }
            )
        else:
            return
        self.changed(self.outcome)

    def _materialized(self, step: StepProgress, event: dg.DagsterEvent) -> None:
        values = {name: value.value for name, value in event.materialization.metadata.items()}
        if "snapshot_id" not in values or any(table["node"] == step.node for table in self.outcome.tables):
            return  # a view, or one more of the partitions that one publish covers
        self.outcome.tables.append(
            {
                "node": step.node,
                "name": str(values["dagster/table_name"]).split(".", 1)[1],
                "rows": values["dagster/row_count"],
                "bytes": values["dagster/size_bytes"],
                "rows_added": values["rows_added"],
                "rows_removed": values["rows_removed"],
                "snapshot_id": int(str(values["snapshot_id"])),
                "already_published": values["already_published"],
            }
        )


_INTERRUPTED = "dagster._core.errors.DagsterExecutionInterruptedError"


def _failure_text(event: dg.DagsterEvent) -> str:
    data: Any = event.event_specific_data
    failure = getattr(data, "user_failure_data", None)
    if failure is not None and failure.description:
        return failure.description
    error = getattr(data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().splitlines()[0] if error is not None else "failed"
