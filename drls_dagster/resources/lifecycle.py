"""The lifecycle as a Dagster resource: the gate of a run's steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from drls_dagster.gate.admission import admit, begin
from drls_dagster.gate.parts import Part
from drls_dagster.gate.publishing import Permitted
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec, digest


class Lifecycle(dg.ConfigurableResource):
    """Lets the steps of a run begin, and says that the run is over when its process is done with it.

    Its configuration is where to look, never a credential: Dagster stores and shows it.
    """

    home: str | None = Field(default=None, description="The DRLS_HOME to read; default: that of the process")

    _gates: list[Permitted] = PrivateAttr(default_factory=list)
    _runs: set[str] = PrivateAttr(default_factory=set)

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
    ) -> Permitted | None:
        """The gate of one pipeline in this run, once it is its turn. None for a draft in development.

        The version asked for is the one that this process has built, whatever the run's tags say. Raises GateRefused.
        """
        settings = self.settings
        part = Part(spec.name, digest(spec), environment)
        open_ledger(settings).execute(run_id, run_key)
        self._runs.add(run_id)
        admission = admit(settings, part, run_id, run_key=run_key, parameters=parameters)
        if admission is None:
            return None
        gate = Permitted(settings, spec, begin(settings, admission, spec.name, log), log)
        self._gates.append(gate)
        return gate

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        while self._gates:
            self._gates.pop().finish()
        while self._runs:
            open_ledger(self.settings).leave(self._runs.pop())
