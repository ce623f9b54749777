"""A round through the tables of an environment: how each is, and what its policy makes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from drls_dagster.maintenance.policy import NAMES, closed_for, policy_of
from drls_dagster.maintenance.words import result_in_words
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.operations import Operation, OperationKind, OperationState
from lifecycle.domain.table_health import TableHealth
from lifecycle.domain.table_policy import Automatic, TablePolicy, waits_in_words
from lifecycle.errors import Conflict, DrlsError, Refused, one_line
from lifecycle.ports import Tables
from lifecycle.usecases.parts.visible_tables import environment_of

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_WORDS: Mapping[OperationKind, str] = {kind: name for name, kind in NAMES.items()}


class Visit(Frozen):
    """A table in a round. `done` says what was done or planned, in words; `failed`: something was not done."""

    health: TableHealth
    policy: TablePolicy
    done: str
    failed: bool = False

    @property
    def name(self) -> str:
        return self.health.name

    @property
    def needs_it(self) -> bool:
        """Whether its score is below what its policy asks for. One that cannot be read needs a person instead."""
        score = self.health.score
        return score is not None and score < self.policy.below

    @property
    def acts(self) -> bool:
        """Whether something is to be done about it now."""
        return self.needs_it and bool(self.policy.automatic) and not self.policy.waits


@dataclass(frozen=True)
class Keeper:
    """Who starts operations for the installation.

    `begin` starts one; None where the table does not need it. It raises DrlsError where it may not begin. `follow` says
    how it is now, `stop` asks it to stop.
    """

    begin: Callable[[str, OperationKind], Operation | None]
    follow: Callable[[int], Operation]
    stop: Callable[[int], Operation]


def tables_of(tables: Tables, environment: Environment) -> list[str]:
    """The tables that are the environment's own, by name: production's are those that no other one has for itself."""
    return [name for name in tables.names() if environment_of(name) is environment]


def go_round(
    settings: Settings,
    tables: Tables,
    environment: Environment,
    only: Collection[str] = (),
    told: Callable[[str], None] = lambda _: None,
    now: datetime | None = None,
) -> Sequence[Visit]:
    """Looks at the environment's tables, or of them only these; the worst first. Changes nothing."""
    closed = closed_for(environment, settings.maintenance, now or datetime.now(UTC))
    names = [name for name in tables_of(tables, environment) if not only or name in only]
    found = sorted(tables.healths(names), key=lambda one: one.worst_first)
    visits = [_visit(one, policy_of(one.name, one.policy, settings.maintenance, closed)) for one in found]
    for one in visits:
        report(one, told)
    return visits


def report(visit: Visit, told: Callable[[str], None]) -> None:
    """Says what was made of a table, in a line; nothing of one that needs nothing."""
    score = visit.health.score
    if visit.done != _NOTHING:
        told(f"{visit.name}: {'no score' if score is None else f'score {score}'}; {visit.done}")


_NOTHING = "needs nothing"


def _visit(one: TableHealth, policy: TablePolicy) -> Visit:
    visit = Visit(health=one, policy=policy, done="")
    if one.error is not None:
        done = f"cannot be read: {one.error}"
    elif policy.mode is Automatic.OFF:
        done = "left alone: its policy is off"
    elif not visit.needs_it:
        done = _NOTHING
    else:
        waits = waits_in_words(policy)
        done = f"planned: {one.recommendation}" + (f"; waits: {waits}" if waits else "")
    return visit.model_copy(update={"done": "; ".join([done, *policy.wrong])})


def act(keeper: Keeper, visits: Sequence[Visit], told: Callable[[str], None] = lambda _: None) -> Sequence[Visit]:
    """Does what the policies allow, one table after the other. What fails at one stops no other."""
    found: list[Visit] = []
    for one in visits:
        done = _maintain(keeper, one) if one.acts else one
        if done is not one:
            report(done, told)
        found.append(done)
    return found


def _maintain(keeper: Keeper, visit: Visit) -> Visit:
    """One operation after the other. After one that was not done, the table is left to the next round."""
    lines: list[str] = []
    failed = False
    for kind in visit.policy.automatic:
        try:
            ended = _do(keeper, visit.name, kind)
        except DrlsError as error:
            lines.append(f"{_WORDS[kind]} was not done: {one_line(error)}")
            # What is held or busy is not broken.
            failed = not isinstance(error, Refused | Conflict)
            break
        if ended is None:
            continue
        lines.append(f"{_WORDS[kind]} ({ended.id}): {_ended_in_words(ended)}")
        if ended.state is not OperationState.DONE:
            failed = True
            break
    planned = f"planned: {visit.health.recommendation}; no automatic operation was needed"
    return visit.model_copy(update={"done": "; ".join(lines or [planned]), "failed": failed})


def _do(keeper: Keeper, name: str, kind: OperationKind) -> Operation | None:
    """Until it is over. Whatever ends the wait, such as the end of the run, also asks the operation to stop."""
    now = keeper.begin(name, kind)
    if now is None:
        return None
    try:
        while not now.state.is_over:
            time.sleep(_LOOK_SECONDS)
            now = keeper.follow(now.id)
    except DrlsError:
        raise  # nobody answers: the operation is at work, and its end is in the audit log
    except BaseException:
        try:
            keeper.stop(now.id)
        except DrlsError as error:
            _LOG.warning("operation %s was not asked to stop: %s", now.id, one_line(error))
        raise
    return now


def _ended_in_words(one: Operation) -> str:
    if one.state is OperationState.CANCELLED:
        return "cancelled by somebody"
    if one.result is None or one.state is not OperationState.DONE:
        return f"failed: {one.error}"
    return result_in_words(one.result, "{:,} bytes".format)
