"""The gate as the steps of an admitted run meet it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drls_dagster.runs.client import RunClient
from drls_dagster.runs.refusal import GateRefused, refusal
from drls_dagster.settings import Settings
from drls_dagster.steps.run import Publication
from lifecycle.domain.run import Admission
from lifecycle.spec import PipelineSpec


@dataclass
class Permitted:
    """The gate of one admitted run of one pipeline."""

    settings: Settings
    spec: PipelineSpec
    admission: Admission
    runs: RunClient
    log: Callable[[str], None]

    def ask_again(self) -> None:
        """Before each step: raises GateRefused when the run was revoked meanwhile."""
        answer = self.runs.ask_again()
        if not answer.allowed:
            raise GateRefused(refusal(self.settings, self.spec.name, self.admission.environment, answer.reason))

    def gave_up(self, owner: str, table: str) -> bool:
        return self.runs.gave_up(owner, table)

    def tries(self, table: str, added: Sequence[str], columns: Sequence[str]) -> None:
        self.runs.tries(table, added, columns)

    def written(self, table: str, base: int | None, candidate: int) -> None:
        self.runs.written(table, base, candidate)

    def confirm(self, publication: Publication) -> None:
        """The receipt of a publish that an earlier try of this run made and did not live to note (D7).

        Raises GateRefused where nobody has given leave for it.
        """
        one = publication
        self.runs.confirm(one.sink, one.partition, one.table, one.candidate)

    def finish(self) -> None:
        """The run is over; the next of this pipeline may begin."""
        self.runs.finish()
