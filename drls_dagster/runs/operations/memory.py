"""What a run must remember: who executes it, pins, branches, outputs, check results and publishes (D1, D2, D7, D13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drls_dagster.ledger import About, Place, PublishRecord, RunBranch, Worker
from drls_dagster.runs.operation import operation
from lifecycle.errors import Forbidden

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation(early=True)
def execute(run: Run, execution: str, worker: Worker) -> None:
    """`worker` executes the run, and sends heartbeats from now on. `execution` is a name of its choice."""
    run.ledger.begin(execution, run.run_id, run.run_key, worker)


@operation(early=True, late=True)
def beat(run: Run, execution: str) -> None:
    """The heartbeat of who executes the run."""
    run.require_execution(execution)
    run.ledger.beat([execution])


@operation(early=True, late=True)
def require_alive(run: Run, execution: str) -> None:
    """Raises RunTakenForDead where others have gone on without who executes it."""
    run.require_execution(execution)
    run.ledger.require(execution)


@operation(early=True, late=True)
def leave(run: Run, execution: str) -> None:
    """The run is over in this process. With it ends the token of a draft, which has no admission."""
    run.require_execution(execution)
    if run.admission is None:
        run.ledger.declare_dead(run.run_id)


@operation()
def pinned(run: Run, epoch: str, node: str) -> Any:
    """What a source was pinned to in this run; None when nobody has asked yet."""
    return run.ledger.pinned(run.run_key, epoch, node)


@operation()
def pin(run: Run, epoch: str, node: str, value: Any) -> Any:
    """Pins a source; what counts is the answer, the first who asks decides (D1)."""
    return run.ledger.pin(run.run_key, epoch, node, lambda: value)


@operation()
def open_branch(
    run: Run, execution: str, worker: Worker, table: str, branch: str, session_id: str, engine_id: str
) -> None:
    """Notes a branch before it is made. Raises RunTakenForDead where others have gone on without this run."""
    run.require_table(table)
    run.require_execution(execution)
    run.ledger.open_branch_for(execution, worker, table, branch, run.run_key, session_id, engine_id)


@operation(late=True)
def keep_branch(run: Run, table: str, branch: str) -> None:
    """A check failed: the branch stays for inspection."""
    _require_branch(run, table, branch)
    run.ledger.keep_branch(table, branch)


@operation(late=True)
def close_branch(run: Run, table: str, branch: str) -> None:
    """The branch is gone: one of this run, or one that a dead run left."""
    run.require_table(table)
    _require_branch(run, table, branch)
    run.ledger.close_branch(table, branch)


@operation()
def debris(run: Run, table: str, seen_from: Place) -> list[RunBranch]:
    """The branches of a table for which nobody comes back (D13)."""
    run.require_table(table)
    return run.ledger.debris(table, seen_from)


@operation()
def output(run: Run, node: str, key: str) -> list[list[Any]] | None:
    """The files of a materialised node; None when it was not materialised in this run (D2)."""
    return run.ledger.output(run.run_key, node, key)


@operation()
def record_output(run: Run, node: str, key: str, files: list[Any]) -> None:
    """Notes the files of a materialised node."""
    run.ledger.record_output(run.run_key, node, key, files)


@operation()
def checks(run: Run, node: str, key: str) -> list[dict[str, Any]] | None:
    """What the checks on a node found for a recipe; None when nobody has looked in this run."""
    return run.ledger.checks(run.run_key, node, key)


@operation()
def record_checks(run: Run, node: str, key: str, results: list[dict[str, Any]]) -> None:
    """Notes what the checks on a node found."""
    run.ledger.record_checks(run.run_key, node, key, results)


@operation(late=True)
def note(run: Run, node: str, about: About, value: Any) -> None:
    """Keeps what people see when they ask why the run failed; nothing rests on it."""
    run.ledger.note(run.run_id, node, about, value)


@operation()
def publishes(run: Run, table: str, table_uuid: str) -> list[PublishRecord]:
    """The publishes of a table that the run writes, newest first (D4)."""
    _require_uuid(run, table, table_uuid)
    return run.ledger.publishes(table_uuid)


def _require_branch(run: Run, table: str, branch: str) -> None:
    for one in run.ledger.branches(table):
        if one.branch == branch and one.run_key != run.run_key and not one.is_debris:
            raise Forbidden(f"branch {branch} of {table} is not one of run {run.run_id}")


def _require_uuid(run: Run, table: str, table_uuid: str) -> None:
    """Raises Forbidden where that is not the table of this name, as the run's environment has it."""
    from drls_dagster.lakehouse.data_plane import IcebergDataPlane

    if run.spec is not None:
        run.require_sink(table)
    plane = IcebergDataPlane(run.settings) if run.ctx is None else run.ctx.plane
    if plane.table(table, run.environment).uuid != table_uuid:
        raise Forbidden(f"run {run.run_id} of {run.name} does not write the table {table_uuid}")
