"""The lifecycle's Orchestrator: Dagster's instance of this home, and its `drls up` where one runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from drls_dagster.ledger import Life, open_ledger
from drls_dagster.orchestrator.graphql import ask_reload, launch_run
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.orchestrator.released import report_release
from drls_dagster.orchestrator.run_facts import facts_of, good_before
from drls_dagster.orchestrator.running_up import running_up
from drls_dagster.orchestrator.stopped import stopped_sensors
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Outcome
from lifecycle.domain.run_facts import RunFacts
from lifecycle.errors import Refused
from lifecycle.ports import Orchestrator, ReleaseFacts, RunState

if TYPE_CHECKING:
    import dagster as dg

_LOG = logging.getLogger(__name__)
_STATES = {Life.ALIVE: RunState.ACTIVE, Life.DEAD: RunState.ENDED, Life.UNKNOWN: RunState.UNKNOWN}
_OUTCOMES = {"SUCCESS": Outcome.SUCCEEDED, "FAILURE": Outcome.FAILED, "CANCELED": Outcome.CANCELLED}


class DagsterOrchestrator(Orchestrator):
    """Asks the instance itself where it can, so that it works without `drls up` too."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def _instance(self) -> dg.DagsterInstance:
        return instance_of(self._settings)

    def run_state(self, run_id: str) -> RunState:
        """A run that is over, by Dagster's word or because its process died, publishes nothing from then on."""
        run, ledger = self._instance.get_run_by_id(run_id), open_ledger(self._settings)
        if run is None:
            # The Dagster of another home may know it.
            return _STATES[ledger.life(run_id)]
        if run.is_finished:
            ledger.declare_dead(run_id)
            return RunState.ENDED
        # Dagster believes in a run whose process was killed for ever.
        if ledger.is_dead(run_id):
            return RunState.ENDED
        ledger.vouch(run_id)
        return RunState.ACTIVE

    def run_outcome(self, run_id: str) -> Outcome | None:
        run = self._instance.get_run_by_id(run_id)
        if run is None:
            return None
        said = _OUTCOMES.get(run.status.value)
        # A killed process reports nothing more, and Dagster has not noticed.
        return Outcome.FAILED if said is None and open_ledger(self._settings).is_dead(run_id) else said

    def run_facts(self, run_id: str) -> RunFacts | None:
        return facts_of(self._settings, self._instance, run_id)

    def good_runs_before(self, run_id: str) -> Sequence[str]:
        return good_before(self._instance, run_id)

    def deployments_changed(self, environment: Environment) -> None:
        """Takes milliseconds, two seconds at most. Never raises: the deployments sensor catches what this missed."""
        up = running_up(self._settings)
        if up is not None:
            ask_reload(up, environment)

    def launch(self, environment: Environment, pipeline: str, reason: str) -> None:
        """Raises Refused: the gate's reason, or what to start when no `drls up` runs."""
        up = running_up(self._settings)
        if up is None:
            raise Refused(
                "nothing here runs pipelines automatically: start drls up, or run it yourself: drls run "
                f"{pipeline} --env {environment.value}"
            )
        run_id = launch_run(up, environment, pipeline, reason)
        refusal = failure_of(self._instance, run_id)
        if refusal:
            raise Refused(refusal)

    def stopped(self) -> Sequence[str]:
        return stopped_sensors(self._settings)

    def released(
        self, environment: Environment, pipeline: str, tables: Mapping[str, int], release: ReleaseFacts
    ) -> None:
        """Never raises: the promotion is done by now, whether or not Dagster can be informed."""
        from dagster import DagsterError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            report_release(self._instance, self._settings.catalog.name, environment, pipeline, tables, release)
        except (DagsterError, SQLAlchemyError, OSError) as error:
            _LOG.warning("Dagster was not informed that %s is released in %s: %s", pipeline, environment.label, error)


def failure_of(instance: dg.DagsterInstance, run_id: str) -> str:
    """What a run that failed said; nothing for any other. A run that the gate refuses fails before it begins."""
    import dagster as dg

    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not dg.DagsterRunStatus.FAILURE:
        return ""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    said = [one.event_log_entry.dagster_event for one in records]
    return next((event.message for event in reversed(said) if event and event.message), f"run {run_id} failed")
