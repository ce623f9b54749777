"""Publish under a permit, and the receipt of it (L11)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.metadata import version

from drls_dagster.fences.facts import fence_facts
from drls_dagster.gate.refusal import GateRefused, refusal
from drls_dagster.lakehouse.refs import RefMoved
from drls_dagster.lifecycle_client.gateway import gateway_actor, open_lifecycle
from drls_dagster.settings import Settings
from drls_dagster.steps.run import Publication, Reads
from drls_dagster.steps.sources.kinds import kind_of
from lifecycle.domain.gate import Action
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Admission, InputRead, Work
from lifecycle.errors import Conflict, LifecycleError
from lifecycle.spec import PipelineSpec, SourceNode, canonical_json, digest
from lifecycle.usecases.context import Context
from lifecycle.usecases.grant_permit import Leave, Publish, grant_permit, record_receipt, release_permit
from lifecycle.usecases.may import may
from lifecycle.usecases.parts.trial_columns import note_trial
from lifecycle.usecases.settle_permits import settle_permits
from lifecycle.usecases.start_run import finish_run

# A promotion that is moving this pipeline's refs goes first, and so does another permit within its lease.
WAIT_SECONDS = 180.0
_TOOLS = ("drls-dagster", "pyspark", "raydp", "ray", "pyiceberg", "dagster")


@dataclass
class Permitted:
    """The gate of one admitted run of one pipeline: it gives leave to publish, and keeps receipts."""

    settings: Settings
    spec: PipelineSpec
    admission: Admission
    log: Callable[[str], None]
    _fingerprints: dict[str, str] | None = field(default=None)

    @property
    def _ctx(self) -> Context:
        return open_lifecycle(self.settings)

    @property
    def _actor(self) -> Actor:
        return gateway_actor("step")

    def ask_again(self) -> None:
        """Before each step: raises GateRefused when the run was revoked meanwhile."""
        admission = self.admission
        answer = may(
            self._ctx,
            self.spec.name,
            digest(self.spec),
            admission.environment,
            Action.RUN,
            run_id=admission.run_id,
        )
        if not answer.allowed:
            raise GateRefused(refusal(self.settings, self.spec.name, admission.environment, answer.reason))

    def gave_up(self, owner: str, table: str) -> bool:
        with self._ctx.store.read() as view:
            writes = view.pipelines.owners([table], but=self.admission.pipeline_id).get(table)
            return writes != owner and view.pipelines.find(owner) is not None

    def tries(self, table: str, added: Sequence[str], columns: Sequence[str]) -> None:
        run_id = self.admission.run_id
        note_trial(self._ctx, self._actor, run_id, self.spec.name, table, added=added, columns=columns)

    def written(self, table: str, base: int | None, candidate: int) -> None:
        self._ctx.plane.begin_sealing(table, self.admission.environment, base, candidate)

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
            release_permit(self._ctx, self._actor, leave.permit.id)
            raise
        record_receipt(self._ctx, self._actor, leave.permit.id)

    def confirm(self, publication: Publication) -> None:
        """The receipt of a publish that an earlier try of this run made and did not live to note (D7).

        Raises GateRefused where nobody has given leave for it.
        """
        ctx, admission = self._ctx, self.admission
        with ctx.store.read() as view:
            known = view.runs.receipt_for(
                admission.root_run_id, admission.pipeline_id, publication.sink, publication.partition
            )
            live = view.runs.live_permits(admission.pipeline_id, admission.environment)
        if known is not None:
            return
        own = [one for one in live if (one.table_name, one.candidate) == (publication.table, publication.candidate)]
        if not own:
            raise GateRefused(
                f"snapshot {publication.candidate} of {publication.table} was published without a permit; see "
                "`drls drift list`"
            )
        record_receipt(ctx, self._actor, own[0].id)

    def finish(self) -> None:
        """The run is over; the next of this pipeline may begin."""
        finish_run(self._ctx, self._actor, self.admission.run_id, self.spec.name)

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
        asked = Publish(
            run_id=self.admission.run_id,
            pipeline=self.spec.name,
            step=publication.sink,
            partition=publication.partition,
            table=publication.table,
            ref=self.admission.environment.ref,
            base=publication.base,
            candidate=publication.candidate,
            work=work,
        )
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return grant_permit(self._ctx, self._actor, asked)
            except Conflict as conflict:
                if time.monotonic() > until:
                    raise GateRefused(f"{publication.table} is not published: {conflict.message}") from None
                self.log(f"sink '{publication.sink}' waits: {conflict.message}")
                settle_permits(self._ctx, self._actor, self.admission.pipeline_id, self.admission.environment)
                time.sleep(2)
            except LifecycleError as error:
                raise GateRefused(
                    refusal(self.settings, self.spec.name, self.admission.environment, error.message)
                ) from None

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
            plane, environment = self._ctx.plane, self.admission.environment
            self._fingerprints = dict(plane.fingerprints(canonical_json(self.spec).decode(), environment))
        return self._fingerprints.get(node)


@lru_cache(maxsize=1)
def _tools() -> dict[str, str]:
    return {name: version(name) for name in _TOOLS}
