"""The lifecycle as a Dagster resource: the gate of a run's steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field, PrivateAttr

from drls_dagster.gate.publishing import Permitted
from drls_dagster.gate.turn import begin
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.memory import Executing, RunMemory
from drls_dagster.runs.opening import way_of
from drls_dagster.runs.part import Part
from drls_dagster.runs.step_spans import StepSpans
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec, digest


class Entered(NamedTuple):
    """A pipeline in a run: what it asks the platform through, and its gate; None for a draft in development."""

    runs: RunClient
    memory: RunMemory
    gate: Permitted | None
    spans: StepSpans


class Lifecycle(dg.ConfigurableResource):
    """Lets the steps of a run begin, and says that the run is over when its process is done with it.

    Its configuration is where to look, never a credential: Dagster stores and shows it.
    """

    home: str | None = Field(default=None, description="The DRLS_HOME to read; default: that of the process")

    _gates: list[Permitted] = PrivateAttr(default_factory=list)
    _spans: list[StepSpans] = PrivateAttr(default_factory=list)
    _executing: dict[str, Executing] = PrivateAttr(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return load_settings(Path(self.home) if self.home else None)

    def enter(
        self,
        spec: PipelineSpec,
        environment: Environment,
        run_id: str,
        *,
        run_key: str,
        parameters: Mapping[str, Any],
        log: Callable[[str], None],
    ) -> Entered:
        """One pipeline in this run, once it is its turn.

        The version asked for is the one that this process has built, whatever the run's tags say. Raises GateRefused.
        """
        settings = self.settings
        way = way_of(settings, run_id, run_key, Part(spec.name, digest(spec), environment))
        runs = RunClient(way, spec.name, environment)
        if run_id not in self._executing:
            self._executing[run_id] = Executing(runs, settings)
        memory = RunMemory(runs, self._executing[run_id])
        spans = StepSpans(runs, is_on=settings.traces.endpoint is not None)
        self._spans.append(spans)
        admission = runs.admit(dict(parameters))
        if admission is None:
            return Entered(runs, memory, None, spans)
        gate = Permitted(settings, spec, begin(runs, log), runs, log)
        self._gates.append(gate)
        return Entered(runs, memory, gate, spans)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        while self._spans:
            self._spans.pop().close()
        while self._gates:
            self._gates.pop().finish()
        while self._executing:
            _, one = self._executing.popitem()
            one.leave()
