"""A round through the tables of an environment: how each is, and what its policy makes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from drls_dagster.maintenance.policy import Policy, policy_of
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.table_health import TableHealth
from lifecycle.ports import Tables
from lifecycle.usecases.parts.visible_tables import environment_of


@dataclass(frozen=True)
class Visit:
    """A table in a round. `done` says what was done or planned, in words."""

    health: TableHealth
    policy: Policy
    done: str

    @property
    def name(self) -> str:
        return self.health.name

    @property
    def needs_it(self) -> bool:
        """Whether its score is below what its policy asks for. One that cannot be read needs a person instead."""
        score = self.health.score
        return score is not None and score < self.policy.below


def tables_of(tables: Tables, environment: Environment) -> list[str]:
    """The tables that are the environment's own, by name: production's are those that no other one has for itself."""
    return [name for name in tables.names() if environment_of(name) is environment]


def go_round(
    settings: Settings,
    tables: Tables,
    environment: Environment,
    only: Collection[str] = (),
    told: Callable[[str], None] = lambda _: None,
) -> Sequence[Visit]:
    """Visits the environment's tables, or of them only these; the worst first. No table stops the others."""
    names = [name for name in tables_of(tables, environment) if not only or name in only]
    found = sorted(tables.healths(names), key=lambda one: one.worst_first)
    return [_visit(settings, one, told) for one in found]


def _visit(settings: Settings, one: TableHealth, told: Callable[[str], None]) -> Visit:
    policy = policy_of(one.policy, settings.maintenance)
    visit = Visit(one, policy, "")
    if one.error is not None:
        done = f"cannot be read: {one.error}"
    elif policy.mode == "off":
        done = "left alone: its policy is off"
    elif not visit.needs_it:
        done = "needs nothing"
    else:
        done = f"planned: {one.recommendation}"
    if policy.wrong:
        done = f"{done}; {policy.wrong}"
    if done != "needs nothing":
        told(f"{one.name}: {'no score' if one.score is None else f'score {one.score}'}; {done}")
    return Visit(one, policy, done)
