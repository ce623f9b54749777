"""The run service: it looks at a token, and at whether the run still stands, and does what the run asks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import Ledger, RunTakenForDead, open_ledger
from drls_dagster.runs.admission import lifecycle_of
from drls_dagster.runs.operation import Operation
from drls_dagster.runs.operations.admission import ask_again
from drls_dagster.runs.part import Part
from drls_dagster.runs.refusal import GateRefused, refusal
from drls_dagster.runs.run import Run
from drls_dagster.runs.token import Bound, RunToken, read_token
from drls_dagster.settings import Settings
from drls_dagster.tags import MAINTENANCE
from drls_dagster.traces.place import Place
from drls_dagster.traces.spans import span
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Admission
from lifecycle.errors import Unauthorized
from lifecycle.usecases.context import Context

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

A = TypeVar("A")
_SECONDS = 60.0
# What becomes of a run is in its trace; what it remembers and how it lives is not.
_TRACED = frozenset({"admit", "publish", "confirm", "finish"})
_MOST = 1_000


class RunService:
    """Answers the runs of one home. `lifecycle`, `ledger` and `catalog` open what it needs; default: the home's own."""

    def __init__(
        self,
        settings: Settings,
        lifecycle: Callable[[], Context | None] | None = None,
        ledger: Callable[[], Ledger] | None = None,
        catalog: Callable[[], Catalog] | None = None,
    ) -> None:
        self._settings = settings
        self._lifecycle = lifecycle or (lambda: lifecycle_of(settings))
        self._ledger = ledger or (lambda: open_ledger(settings))
        self._catalog = catalog or (lambda: load_catalog(settings))
        self._own: dict[str, Bound] = {}
        self._read: dict[str, tuple[Bound, float]] = {}

    def own_token(self, bound: Bound) -> RunToken:
        """A token that this process alone knows, for a run that it executes itself; nothing needs to be signed."""
        token = RunToken(secrets.token_urlsafe(32))
        self._own[token.text] = bound
        return token

    def answer(
        self,
        token: str,
        operation: Operation[..., A],
        pipeline: str,
        environment: Environment,
        given: Mapping[str, Any],
        at: Place | None = None,
    ) -> A:
        """What the operation answers for one pipeline of the token's run. `at`: the span of the run that asks.

        Raises Unauthorized for a token that is not good, GateRefused where the run may not do this any more, and what
        the operation raises.
        """
        ctx = self._lifecycle()
        bound = self._own.get(token)
        if bound is None:
            if ctx is None:
                raise Unauthorized("this run token is not valid; launch the run again")
            bound = self._bound(ctx, token)
        part = bound.part(pipeline, environment)
        if operation.upkeep is not (pipeline == MAINTENANCE):
            raise Unauthorized(f"{operation.name} is not for runs of {pipeline}")
        run = Run(self._settings, bound, part, self._ledger(), ctx, _admission(ctx, bound, part), self._catalog)
        _require_standing(run, operation)
        if operation.name not in _TRACED:
            return operation.run(run, **given)
        with span(self._settings, f"run {operation.name}", run.traced, above=run.trace_at(at)):
            return operation.run(run, **given)

    def _bound(self, ctx: Context, token: str) -> Bound:
        """What a token is bound to. Its signature is looked at again after a minute; whether it stands, every time."""
        now = time.monotonic()
        found = self._read.get(token)
        if found is not None and now < found[1]:
            return found[0]
        bound = read_token(ctx, token)
        if len(self._read) >= _MOST:
            self._read.clear()
        self._read[token] = (bound, now + _SECONDS)
        return bound


def _admission(ctx: Context | None, bound: Bound, part: Part) -> Admission | None:
    if ctx is None:
        return None
    with ctx.store.read() as view:
        pipeline = view.pipelines.find(part.pipeline)
        return None if pipeline is None else view.runs.admission(bound.run_id, pipeline.id)


def _require_standing(run: Run, operation: Operation[..., Any]) -> None:
    """A token is good while the run's admission is; what is under way may still be finished."""
    admission = run.admission
    if admission is None:
        if run.environment.rank and not operation.early:
            run.admitted  # noqa: B018 (raises GateRefused)
        if not run.environment.rank and not operation.late and run.ledger.is_dead(run.run_id):
            raise RunTakenForDead(f"run {run.run_id} of {run.name} is over; launch a new one")
    elif not admission.state.is_live and not operation.late:
        answer = ask_again.run(run)
        raise GateRefused(refusal(run.settings, run.name, run.environment, answer.reason))
