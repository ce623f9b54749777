"""What the pages of the environments show: asked from the store with as few queries for many pipelines as for one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.policy import Hold, HoldKind, PolicyRevision
from lifecycle.domain.releases import ROLLBACK, Active, TableThen
from lifecycle.domain.run import Admission, Drift, Session
from lifecycle.domain.version import Label
from lifecycle.domain.windows import Window
from lifecycle.errors import Invalid
from lifecycle.store.unit import View
from lifecycle.usecases.parts.visible import visible_ids
from lifecycle.usecases.releases_then import approvers_of, tables_of

PAGE = 50
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class HoldLine:
    """A freeze or a stop in words; `pipeline` None: of the whole environment."""

    hold: Hold
    pipeline: str | None
    by: str


@dataclass(frozen=True, slots=True)
class DriftLine:
    """A drift with the name of the pipeline that writes the table."""

    drift: Drift
    pipeline: str


@dataclass(frozen=True, slots=True)
class WindowLine:
    """The present (`is_open`) or next occurrence of a policy's window; `pipeline` None: of the environment's policy."""

    window: Window
    pipeline: str | None
    is_open: bool
    begins: datetime | None
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Row:
    """One pipeline in one environment. `session`: the branches that its next evidence is collected on."""

    active: Active
    approvers: tuple[str, ...]
    tables: tuple[TableThen, ...]
    drifts: tuple[Drift, ...]
    holds: tuple[HoldKind, ...]
    run: Admission | None
    session: Session | None

    @property
    def unreviewed(self) -> bool:
        return self.active.deployment.label is Label.UNREVIEWED


@dataclass(frozen=True, slots=True)
class Summary:
    """An environment in figures, with what blocks promotions there. `waiting` requests want to get in."""

    environment: Environment
    active: int
    unreviewed: int
    live: int
    waiting: int
    holds: tuple[HoldLine, ...]
    drifts: tuple[DriftLine, ...]
    windows: tuple[WindowLine, ...]
    newest: tuple[Active, ...] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """One environment, now or at a past time (`at`); `following` is the cursor of the next page."""

    summary: Summary
    at: datetime | None
    rows: tuple[Row, ...]
    following: str | None


@dataclass(frozen=True, slots=True)
class _Everywhere:
    """What one query says about all environments; `only` are the pipelines that the visitor may see (None: all)."""

    only: frozenset[int] | None
    at: datetime | None
    counts: Mapping[tuple[Environment, Label], int]
    live: Mapping[Environment, int]
    waiting: Mapping[Environment, int]
    policies: tuple[PolicyRevision, ...]


def read_moment(text: str, now: datetime) -> datetime | None:
    """A past time as people write it, UTC unless it says otherwise; None when nothing is given. Raises Invalid."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"{text!r} is not a time; write it like 2026-03-31T18:00 (UTC)") from None
    if at > now:
        raise Invalid(f"{at:%Y-%m-%d %H:%M} UTC is in the future; choose a time in the past")
    return at


def summaries(view: View, actor: Actor) -> tuple[Summary, ...]:
    """All environments side by side."""
    everywhere = _everywhere(view, actor, None)
    return tuple(_summary(view, environment, everywhere, newest=5) for environment in Environment)


def board(
    view: View, actor: Actor, environment: Environment, *, at: datetime | None = None, like: str = "", after: str = ""
) -> Board:
    """What is (or at `at` was) active in `environment`, page by page."""
    everywhere = _everywhere(view, actor, at)
    summary = _summary(view, environment, everywhere)
    found = view.deployments.page(environment, at=at, only=everywhere.only, like=like, after=after, limit=PAGE + 1)
    shown = found[:PAGE]
    following = shown[-1].pipeline if len(found) > PAGE else None
    return Board(summary, at, _rows(view, environment, shown, summary, at), following)


def _rows(
    view: View, environment: Environment, shown: Collection[Active], summary: Summary, at: datetime | None
) -> tuple[Row, ...]:
    deployments = [one.deployment for one in shown]
    pipelines = [one.pipeline_id for one in deployments]
    tables = tables_of(view, deployments, at)
    runs = view.runs.newest_admissions(pipelines, environment, at)
    sessions: Mapping[int, Session] = {}
    if environment.has_sessions and at is None:
        sessions = view.runs.newest_sessions([one.version_id for one in deployments], environment)
    approvers = _approvers(view, shown)
    return tuple(
        Row(
            active=one,
            approvers=approvers[one.deployment.id],
            tables=tables[one.deployment.id],
            drifts=tuple(d.drift for d in summary.drifts if d.drift.pipeline_id == one.deployment.pipeline_id),
            holds=_holding(summary.holds, one.deployment.pipeline_id),
            run=runs.get(one.deployment.pipeline_id),
            session=sessions.get(one.deployment.version_id),
        )
        for one in shown
    )


def _approvers(view: View, shown: Iterable[Active]) -> dict[int, tuple[str, ...]]:
    deployments = [one.deployment for one in shown]
    said = view.deployments.approvers({one.promotion_id for one in deployments if one.promotion_id is not None})
    return {
        # Who approved what a rollback has put back is in the history; rollbacks are few.
        one.id: approvers_of(view, one) if one.reason == ROLLBACK else tuple(said.get(one.promotion_id or 0, ()))
        for one in deployments
    }


def _holding(holds: Iterable[HoldLine], pipeline_id: int) -> tuple[HoldKind, ...]:
    found = {line.hold.kind for line in holds if line.hold.pipeline_id in (None, pipeline_id)}
    return tuple(kind for kind in HoldKind if kind in found)


def _everywhere(view: View, actor: Actor, at: datetime | None) -> _Everywhere:
    only = visible_ids(view, actor)
    return _Everywhere(
        only=only,
        at=at,
        counts=view.deployments.counts(at=at, only=only),
        # Runs, requests and policies are shown as they are now, or not at all.
        live=view.runs.count_live(only) if at is None else {},
        waiting=view.promotions.count_unfinished(only) if at is None else {},
        policies=view.policies.newest() if at is None else (),
    )


def _summary(view: View, environment: Environment, everywhere: _Everywhere, newest: int = 0) -> Summary:
    only, at = everywhere.only, everywhere.at
    here = {label: number for (where, label), number in everywhere.counts.items() if where is environment}
    drifts = view.runs.open_drifts(environment=environment) if at is None else view.runs.drifts_at(environment, at)
    drifts = tuple(one for one in drifts if only is None or one.pipeline_id in only)
    holds = tuple(
        one
        for one in view.policies.holds(environment, at)
        if only is None or one.pipeline_id is None or one.pipeline_id in only
    )
    names = view.pipelines.names(
        {one.pipeline_id for one in holds if one.pipeline_id is not None} | {one.pipeline_id for one in drifts}
    )
    people = view.people.names(one.set_by for one in holds)
    return Summary(
        environment=environment,
        active=sum(here.values()),
        unreviewed=here.get(Label.UNREVIEWED, 0),
        live=everywhere.live.get(environment, 0),
        waiting=everywhere.waiting.get(environment, 0),
        holds=tuple(HoldLine(one, names.get(one.pipeline_id or 0), people[one.set_by]) for one in holds),
        drifts=tuple(DriftLine(one, names[one.pipeline_id]) for one in drifts),
        windows=_windows(view, environment, everywhere),
        newest=view.deployments.newest(environment, only=only, limit=newest) if newest else (),
    )


def _windows(view: View, environment: Environment, everywhere: _Everywhere) -> tuple[WindowLine, ...]:
    """Open ones first, then by their next beginning."""
    policies = [
        one
        for one in everywhere.policies
        if one.environment is environment
        and one.body is not None
        and (one.pipeline_id is None or everywhere.only is None or one.pipeline_id in everywhere.only)
    ]
    names = view.pipelines.names({one.pipeline_id for one in policies if one.pipeline_id is not None})
    lines = [
        _window(window, names.get(policy.pipeline_id or 0), view.now)
        for policy in policies
        for window in (policy.body.windows if policy.body else ())
    ]
    coming = [line for line in lines if line.is_open or line.begins is not None]
    return tuple(sorted(coming, key=lambda line: (not line.is_open, line.begins or view.now)))


def _window(window: Window, pipeline: str | None, now: datetime) -> WindowLine:
    ends = window.ends(now)
    if ends is not None:
        return WindowLine(window, pipeline, True, None, ends)
    begins = window.next_start(now)
    return WindowLine(window, pipeline, False, begins, window.ends(begins) if begins is not None else None)
