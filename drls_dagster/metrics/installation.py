"""What the store, the ledger and the engine say when somebody asks: nothing of it is counted in a process.

Totals come from the audit log, from the entry on at which this server began. So all processes of a server say the
same, and a number that went back means that the server was started again, as Prometheus expects.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from drls_dagster.ledger import open_ledger
from drls_dagster.settings import Settings
from drls_dagster.web.tables.healthy import FAIR, GOOD
from lifecycle.domain.environment import Environment
from lifecycle.errors import DrlsError
from lifecycle.store.repositories.figures import UNFINISHED
from lifecycle.store.store import Store
from lifecycle.store.unit import View

_TARGETS = [one.value for one in Environment if one is not Environment.DEVELOPMENT]
_ENVIRONMENTS = [one.value for one in Environment]
_DECISIONS = {"promotion.approved_by": "approve", "promotion.rejected_by": "reject"}
_REFUSED = ".refused"


def newest_entry(store: Store) -> int:
    """The sequence of the newest entry of the audit log."""
    with store.read() as view:
        return view.log.head().sequence


class InstallationFigures(Collector):
    """`since`: the entry of the audit log behind which totals begin, the same for all processes of a server."""

    def __init__(self, store: Store, settings: Settings, since: int) -> None:
        self._store, self._settings = store, settings
        self._seen = since
        self._events: Counter[str] = Counter()
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._line = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Where a database does not answer, its own numbers are missing, and it counts as down."""
        info = InfoMetricFamily("drls", "This DRLS.")
        info.add_metric((), {"version": version("drls-dagster")})
        yield info
        yield from _reached("drls_store_up", "Whether the store of the lifecycle answers.", self._of_store)
        yield from _reached("drls_ledger_up", "Whether the ledger of runs answers.", self._of_ledger)
        yield from self._of_engine()

    def _of_store(self) -> Iterable[Metric]:
        with self._line, self._store.read() as view:
            found = [*_queue(view), *_runs(view), *_watched(view)]
            self._count(view)
            return [*found, *self._totals()]

    def _count(self, view: View) -> None:
        until = view.log.head().sequence
        if until > self._seen:
            events = view.figures.events(self._seen, until)
            outcomes = view.figures.outcomes(self._seen, until)
            # Only what was read as a whole counts: otherwise the next look reads it again.
            self._events.update(events)
            self._outcomes.update(outcomes)
            self._seen = until

    def _totals(self) -> Iterator[Metric]:
        entries = CounterMetricFamily("drls_audit_entries", "Entries of the audit log.", labels=["verb"])
        refusals = CounterMetricFamily(
            "drls_refusals", "Refusals of the lifecycle, by what was asked for.", labels=["of"]
        )
        for verb, count in sorted(self._events.items()):
            entries.add_metric([verb], count)
        for what in sorted({"admission", "permit", "sign_in"} | {_what(one) for one in self._events} - {""}):
            refusals.add_metric([what], self._events[what + _REFUSED])
        decisions = CounterMetricFamily("drls_decisions", "Decisions about requests.", labels=["verdict"])
        for verb, verdict in _DECISIONS.items():
            decisions.add_metric([verdict], self._events[verb])
        ended = CounterMetricFamily("drls_runs_ended", "Runs by how they ended.", labels=["environment", "outcome"])
        for (environment, outcome), count in sorted(self._outcomes.items()):
            ended.add_metric([environment, outcome], count)
        yield from (entries, refusals, decisions, ended)

    def _of_ledger(self) -> Iterable[Metric]:
        ledger = open_ledger(self._settings)
        operations = GaugeMetricFamily(
            "drls_table_operations", "Operations on tables that wait or run.", labels=["kind", "state"]
        )
        for (kind, state), count in sorted(ledger.live_operations().items()):
            operations.add_metric([kind, state], count)
        scores = ledger.scores()
        tables = GaugeMetricFamily("drls_tables", "Tables by their health when last looked at.", labels=["health"])
        words = Counter(map(_health, scores))
        for word in ("healthy", "fair", "poor"):
            tables.add_metric([word], words[word])
        found: list[Metric] = [operations, tables]
        if scores:
            found.append(GaugeMetricFamily("drls_table_health_lowest", "The lowest score of a table.", min(scores)))
        return found

    def _of_engine(self) -> Iterator[Metric]:
        """Where no engine was ever started, as on a machine that only serves, there is nothing to say."""
        from drls_dagster.engine.state import live_leases, read_state

        state = read_state(self._settings)
        if state is not None:
            runs = state.is_alive and state.phase == "running"
            yield GaugeMetricFamily("drls_engine_up", "Whether this home's engine runs. It stops when idle.", runs)
            yield GaugeMetricFamily(
                "drls_engine_users", "Runs and queries that use the engine.", live_leases(self._settings)
            )


def _queue(view: View) -> Iterator[Metric]:
    count = GaugeMetricFamily("drls_requests", "Requests that are not over.", labels=["state", "environment"])
    age = GaugeMetricFamily(
        "drls_request_oldest_seconds", "Age of the oldest of these requests.", labels=["state", "environment"]
    )
    due = GaugeMetricFamily("drls_executions_due", "Requests whose execution is due.", labels=["environment"])
    since = GaugeMetricFamily(
        "drls_execution_due_oldest_seconds", "How long the oldest is due.", labels=["environment"]
    )
    found = {(one.state, one.environment): one for one in view.figures.requests()}
    for key in sorted({(state, environment) for state in UNFINISHED for environment in _TARGETS} | set(found)):
        one = found.get(key)
        count.add_metric(key, one.number if one else 0)
        age.add_metric(key, _age(view.now, one and one.oldest))
    for environment in sorted({*_TARGETS, *(one.environment for one in found.values())}):
        here = [one for one in found.values() if one.environment == environment and one.due]
        due.add_metric([environment], sum(one.due for one in here))
        since.add_metric([environment], max((_age(view.now, one.due_since) for one in here), default=0))
    yield from (count, age, due, since)


def _runs(view: View) -> Iterator[Metric]:
    count = GaugeMetricFamily("drls_runs", "Runs that wait or run.", labels=["environment", "state"])
    age = GaugeMetricFamily(
        "drls_run_oldest_seconds", "Time since the admission of the oldest.", labels=["environment", "state"]
    )
    found = {(one.environment, one.state): one for one in view.figures.live_runs()}
    for key in ((environment, state) for environment in _ENVIRONMENTS for state in ("queued", "running")):
        one = found.get(key)
        count.add_metric(key, one.number if one else 0)
        age.add_metric(key, _age(view.now, one and one.oldest))
    yield from (count, age)


def _watched(view: View) -> Iterator[Metric]:
    drifts = GaugeMetricFamily("drls_drifts", "Drifts that nobody settled.", labels=["environment"])
    known = view.figures.drifts()
    for environment in _ENVIRONMENTS:
        drifts.add_metric([environment], known.get(environment, 0))
    holds = GaugeMetricFamily("drls_holds", "Freezes and stops in force.", labels=["kind", "environment"])
    for (kind, environment), count in sorted(view.figures.holds().items()):
        holds.add_metric([kind, environment], count)
    waiting, oldest = view.figures.undelivered()
    yield from (drifts, holds)
    yield GaugeMetricFamily("drls_notifications_pending", "Notifications that wait to be sent.", waiting)
    yield GaugeMetricFamily("drls_notification_oldest_seconds", "Age of the oldest of them.", _age(view.now, oldest))


def _reached(name: str, about: str, ask: Callable[[], Iterable[Metric]]) -> Iterator[Metric]:
    found: Iterable[Metric] = ()
    try:
        found, up = ask(), True
    except DrlsError:
        up = False
    yield GaugeMetricFamily(name, about, up)
    yield from found


def _age(now: datetime, then: datetime | None) -> float:
    return max(0.0, (now - then).total_seconds()) if then else 0.0


def _what(verb: str) -> str:
    return verb.removesuffix(_REFUSED) if verb.endswith(_REFUSED) else ""


def _health(score: int) -> str:
    return "healthy" if score >= GOOD else "fair" if score >= FAIR else "poor"
