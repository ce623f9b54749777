"""A sink's publish, as the run asks for it; the platform makes it."""

from __future__ import annotations

import time
from functools import cache, lru_cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from drls_dagster.fences.facts import fence_facts
from drls_dagster.runs.catalog import RunCatalog
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.table_words import Candidate
from drls_dagster.steps.sources.kinds import kind_of
from drls_dagster.steps.sources.tally import RowsRead
from lifecycle.domain.run import InputRead, Work
from lifecycle.errors import Conflict
from lifecycle.spec import SourceNode

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from drls_dagster.steps.run import PipelineRun, Publication

# A promotion that is moving this pipeline's refs goes first, and so does another permit within its lease.
WAIT_SECONDS = 180.0
_TOOLS = ("drls-dagster", "pyspark", "raydp", "ray", "pyiceberg", "dagster")


def publish(
    run: PipelineRun, identifier: tuple[str, ...], one: Publication, branch: str, rebuilt_as: int | None
) -> Table:
    """The table after the publish. `rebuilt_as` is its schema where the rows were written for a rebuild.

    Waits for whoever goes first. Raises RefMoved, GateRefused and RunTakenForDead: nothing is published then.
    """
    candidate = Candidate(
        step=one.sink,
        partition=one.partition,
        table=one.table,
        branch=branch,
        base=one.base,
        snapshot=one.candidate,
        rebuilt_as=rebuilt_as,
        work=_work(run, one),
    )
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            state = run.memory.publish(candidate)
            return RunCatalog(run.settings.catalog.name, run.runs).table_of(identifier, state)
        except Conflict as conflict:
            if time.monotonic() > until:
                raise GateRefused(f"{one.table} is not published: {conflict.message}") from None
            run.log(f"sink '{one.sink}' waits: {conflict.message}")
            time.sleep(2)


def _work(run: PipelineRun, one: Publication) -> Work:
    return Work(
        inputs=_inputs(run, one),
        checks=one.checks,
        rows=one.rows,
        bytes=one.bytes,
        seconds=one.seconds,
        positions=dict(one.positions),
        tools=tools(),
        table_uuid=one.table_uuid,
        fence=fence_facts(run.settings).kind,
    )


def _inputs(run: PipelineRun, one: Publication) -> tuple[InputRead, ...]:
    fingerprints = cache(run.runs.fingerprints)

    def fingerprint(name: str) -> str | None:
        return fingerprints().get(name)

    found: list[InputRead] = []
    for name, read in sorted(one.reads.items()):
        node = run.spec.node(name)
        if isinstance(node, SourceNode):
            told = kind_of(node).receipt(name, node.source, read.pin, read.end, partial(fingerprint, name))
            rows = one.rows_read.get(name, RowsRead())
            amount = {"rows": rows.rows, "rows_unknown": rows.why or None, "dead_letters": rows.dead_letters}
            found.append(told.model_copy(update=amount))
    return tuple(found)


@lru_cache(maxsize=1)
def tools() -> dict[str, str]:
    return {name: version(name) for name in _TOOLS}
