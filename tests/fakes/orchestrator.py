"""An orchestrator that keeps what it was told, and knows the runs that a test has begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Outcome
from lifecycle.domain.run_facts import RunFacts
from lifecycle.errors import Refused
from lifecycle.ports import Orchestrator, ReleaseFacts, RunState


class FakeOrchestrator(Orchestrator):
    def __init__(self) -> None:
        self.states: dict[str, RunState] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.changed: list[Environment] = []
        self.launched: list[tuple[Environment, str]] = []
        self.releases: list[tuple[str, dict[str, int], ReleaseFacts]] = []
        self.refusing: dict[str, str] = {}
        self.stopped_parts: list[str] = []
        self.facts: dict[str, RunFacts] = {}
        self.good: list[str] = []

    def run_state(self, run_id: str) -> RunState:
        return self.states.get(run_id, RunState.UNKNOWN)

    def run_outcome(self, run_id: str) -> Outcome | None:
        return self.outcomes.get(run_id)

    def run_facts(self, run_id: str) -> RunFacts | None:
        return self.facts.get(run_id)

    def good_runs_before(self, run_id: str) -> Sequence[str]:
        return self.good

    def deployments_changed(self, environment: Environment) -> None:
        self.changed.append(environment)

    def launch(self, environment: Environment, pipeline: str, reason: str) -> None:
        if pipeline in self.refusing:
            raise Refused(self.refusing[pipeline])
        self.launched.append((environment, pipeline))

    def stopped(self) -> Sequence[str]:
        return self.stopped_parts

    def released(
        self, environment: Environment, pipeline: str, tables: Mapping[str, int], release: ReleaseFacts
    ) -> None:
        self.releases.append((pipeline, dict(tables), release))
