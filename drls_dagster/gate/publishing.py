"""Publish under a permit, and the receipt of it (L11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.metadata import version

from drls_dagster.fences.facts import fence_facts
from drls_dagster.lakehouse.refs import RefMoved
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.refusal import GateRefused, refusal
from drls_dagster.settings import Settings
from drls_dagster.steps.run import Publication, Reads
from drls_dagster.steps.sources.kinds import kind_of
from lifecycle.domain.run import Admission, InputRead, Work
from lifecycle.errors import Conflict
from lifecycle.spec import PipelineSpec, SourceNode
from lifecycle.usecases.grant_permit import Leave

# A promotion that is moving this pipeline's refs goes first, and so does another permit within its lease.
WAIT_SECONDS = 180.0
_TOOLS = ("drls-dagster", "pyspark", "raydp", "ray", "pyiceberg", "dagster")


@dataclass
class Permitted:
    """The gate of one admitted run of one pipeline: it gives leave to publish, and keeps receipts."""

    settings: Settings
    spec: PipelineSpec
    admission: Admission
    runs: RunClient
    log: Callable[[str], None]
    _fingerprints: Mapping[str, str] | None = field(default=None)

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

    @contextmanager
    def publishing(self, publication: Publication) -> Iterator[None]:
        """A permit around a compare-and-set, then its receipt.

        Raises GateRefused when the run may not, or no longer, publish; what the block raises passes through.
        """
        leave = self._ask(publication)
        if leave.permit is None:
            raise GateRefused(
                f"sink '{publication.sink}' has already published {publication.table} in this run, and that "
                "snapshot is no longer on the branch; launch a new run"
            )
        try:
            yield
        except RefMoved:
            self.runs.release(leave.permit.id)
            raise
        self.runs.receipt(leave.permit.id)

    def confirm(self, publication: Publication) -> None:
        """The receipt of a publish that an earlier try of this run made and did not live to note (D7).

        Raises GateRefused where nobody has given leave for it.
        """
        one = publication
        self.runs.confirm(one.sink, one.partition, one.table, one.candidate)

    def finish(self) -> None:
        """The run is over; the next of this pipeline may begin."""
        self.runs.finish()

    def _ask(self, publication: Publication) -> Leave:
        work = Work(
            inputs=self._inputs(publication.reads),
            checks=publication.checks,
            rows=publication.rows,
            bytes=publication.bytes,
            seconds=publication.seconds,
            positions=dict(publication.positions),
            tools=_tools(),
            table_uuid=publication.table_uuid,
            fence=fence_facts(self.settings).kind,
        )
        one = publication
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self.runs.permit(one.sink, one.partition, one.table, one.base, one.candidate, work)
            except Conflict as conflict:
                if time.monotonic() > until:
                    raise GateRefused(f"{one.table} is not published: {conflict.message}") from None
                self.log(f"sink '{one.sink}' waits: {conflict.message}")
                time.sleep(2)

    def _inputs(self, reads: Reads) -> tuple[InputRead, ...]:
        found: list[InputRead] = []
        for name, read in sorted(reads.items()):
            node = self.spec.node(name)
            if isinstance(node, SourceNode):
                kind, ask = kind_of(node), partial(self._fingerprint, name)
                found.append(kind.receipt(name, node.source, read.pin, read.end, ask))
        return tuple(found)

    def _fingerprint(self, node: str) -> str | None:
        if self._fingerprints is None:
            self._fingerprints = self.runs.fingerprints()
        return self._fingerprints.get(node)


@lru_cache(maxsize=1)
def _tools() -> dict[str, str]:
    return {name: version(name) for name in _TOOLS}
