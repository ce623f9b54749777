"""What is active of a pipeline in an environment, and how it is: the cells of the board and of the pipeline's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lifecycle.app.kit import links
from lifecycle.app.kit.words import LOOKS, NAMES
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Hold
from lifecycle.domain.promotion import State
from lifecycle.domain.run import AdmissionState, Outcome
from lifecycle.domain.version import Label
from lifecycle.store.repositories.overview import Asked, Head, Live, RunSummary
from lifecycle.store.unit import View

MARKS = 3


@dataclass(frozen=True, slots=True)
class RunMark:
    """A run in words; `url` is its page in Dagster, where Dagster is reached through this app."""

    id: str
    number: int
    look: str
    word: str
    at: datetime
    why: str
    url: str | None


@dataclass(frozen=True, slots=True)
class AskedMark:
    """A request into this environment that is not over, or several of them."""

    url: str
    look: str
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One pipeline in one environment; without `number` nothing is active there.

    `asked` are the oldest MARKS requests; `more` leads to the list that also has the others.
    """

    environment: Environment
    number: int | None
    url: str
    digest: str
    since: datetime | None
    unreviewed: bool
    running: bool
    run: RunMark | None
    fresh: datetime | None
    drift: int
    holds: tuple[Hold, ...]
    asked: tuple[AskedMark, ...]
    more: AskedMark | None

    @property
    def is_empty(self) -> bool:
        return self.number is None and not self.asked and not self.holds


def cells_of(
    view: View, heads: Sequence[Head], holds: Sequence[Hold], dagster: str | None
) -> tuple[tuple[Cell, ...], ...]:
    """The cells of each pipeline, in the order of `heads`; read in a few statements for all of them."""
    ids = [head.id for head in heads]
    active = view.overview.live(ids)
    runs, fresh, drifts = view.overview.last_runs(ids), view.overview.fresh(ids), view.overview.drifts(ids)
    asked: dict[tuple[int, Environment], list[Asked]] = {}
    for one in view.overview.asked(ids):
        asked.setdefault((one.pipeline_id, one.target), []).append(one)
    held: dict[tuple[int, Environment], list[Hold]] = {}
    for hold in holds:
        if hold.pipeline_id is not None:
            held.setdefault((hold.pipeline_id, hold.environment), []).append(hold)

    def cell(head: Head, environment: Environment) -> Cell:
        key = (head.id, environment)
        live: Live | None = active.get(head.id, {}).get(environment)
        run = runs.get(key)
        return Cell(
            environment=environment,
            number=live and live.number,
            url=links.version(head.name, live.number) if live else "",
            digest=live.digest if live else "",
            since=live and live.since,
            unreviewed=live is not None and live.label is Label.UNREVIEWED,
            running=run is not None and run.state is AdmissionState.RUNNING,
            run=run and run_mark(run, dagster),
            fresh=fresh.get(key),
            drift=drifts.get(key, 0),
            holds=tuple(held.get(key, ())),
            asked=tuple(_asked_mark(one) for one in asked.get(key, ())[:MARKS]),
            more=_more(head, environment, len(asked.get(key, ())) - MARKS),
        )

    return tuple(tuple(cell(head, environment) for environment in Environment) for head in heads)


def run_mark(run: RunSummary, dagster: str | None) -> RunMark:
    """What is known of a run: admissions, receipts, and how it ended as Dagster tells it, for people to see (L14)."""
    look, word = _run_word(run)
    return RunMark(
        id=run.run_id,
        number=run.number,
        look=look,
        word=word,
        at=run.ended_at or run.admitted_at,
        why=run.why,
        url=links.run(dagster, run.run_id) if dagster else None,
    )


def _run_word(run: RunSummary) -> tuple[str, str]:
    match run.state:
        case AdmissionState.QUEUED:
            return "pending", "queued"
        case AdmissionState.RUNNING:
            return "running", "running"
        case AdmissionState.REVOKED:
            return "rejected", "revoked"
        case AdmissionState.FINISHED:
            return _finished_word(run)


def _finished_word(run: RunSummary) -> tuple[str, str]:
    """A run that failed says so first; of one that succeeded, what it published is the news."""
    whole = run.published >= run.tables
    published = "published" if whole else f"published {run.published} of {run.tables} tables"
    match run.outcome:
        case Outcome.FAILED | Outcome.CANCELLED:
            word = run.outcome.value
            return "rejected", f"{word}, {published}" if run.published else word
        case Outcome.SUCCEEDED:
            return "approved", published if run.published else "succeeded, published nothing"
        case None:
            return ("approved" if whole else "rejected"), published if run.published else "published nothing"


_ASKED_WORDS = {
    State.REQUESTED: "waiting for approval",
    State.APPROVED: "approved, not executed yet",
    State.EXECUTING: "being executed",
    State.FAILED: "failed, can be resumed",
}


def _more(head: Head, environment: Environment, count: int) -> AskedMark | None:
    if count <= 0:
        return None
    title = f"{count} more open requests to {NAMES[environment]}"
    return AskedMark(links.requests(head.name, environment.value), "pending", f"{count} more", title)


def _asked_mark(one: Asked) -> AskedMark:
    word = {State.REQUESTED: "pending"}.get(one.state, one.state.value)
    title = f"request {one.id}: v{one.number} to {NAMES[one.target]} {_ASKED_WORDS[one.state]}"
    return AskedMark(links.request(one.id), LOOKS[one.state], f"v{one.number} {word}", title)
