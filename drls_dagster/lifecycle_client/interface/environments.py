"""What is active where, and the rules there: what can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from drls_dagster.lifecycle_client.results import Active, DriftInfo, HoldInfo, PolicyInfo, Request, SessionInfo
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.usecases.parts.rounds import Trouble
from lifecycle.usecases.rollback_release import RollbackPlan


class Environments(ABC):
    """What is active where, and the rules there."""

    @abstractmethod
    def active(
        self,
        environment: Environment | None = None,
        *,
        pipeline: str | None = None,
        at: datetime | None = None,
        tables: bool = False,
    ) -> tuple[Active, ...]:
        """What is active, or was at `at` (aware), approved by whom; with production's `tables` as they stood then."""

    @abstractmethod
    def loaded(self, environment: Environment) -> Mapping[str, str] | None:
        """By pipeline, the digest that the code location loaded last; None where that is not known."""

    @abstractmethod
    def demote(self, name: str, number: int, *, reason: str, key: str | None = None) -> Active:
        """Ends a version's UAT deployment."""

    @abstractmethod
    def retire(self, name: str, number: int, *, reason: str, consent: bool = False, key: str | None = None) -> Active:
        """Ends a version's production deployment; `consent`: although active pipelines read its tables."""

    @abstractmethod
    def plan_rollback(self, name: str, *, data: bool = False) -> RollbackPlan:
        """What rolling production back would do now; changes nothing."""

    @abstractmethod
    def rollback(
        self, name: str, *, reason: str, data: bool = False, consent: str | None = None, key: str | None = None
    ) -> Request:
        """Puts the previous release back; `data` needs `consent`, the digest of the plan (L13)."""

    @abstractmethod
    def holds(self) -> tuple[HoldInfo, ...]:
        """Every freeze and stop that is not lifted."""

    @abstractmethod
    def set_hold(
        self,
        kind: HoldKind,
        environment: Environment,
        pipeline: str | None = None,
        *,
        reason: str,
        key: str | None = None,
    ) -> HoldInfo:
        """Freezes or stops (L9)."""

    @abstractmethod
    def lift_hold(self, hold: int) -> HoldInfo:
        """Ends a freeze or a stop."""

    @abstractmethod
    def refresh(self, name: str, environment: Environment) -> SessionInfo:
        """The active version's next run in QA or UAT starts on branches fresh off main (D9)."""

    @abstractmethod
    def drifts(self) -> tuple[DriftInfo, ...]:
        """Heads of governed refs that nobody answers for (L15)."""

    @abstractmethod
    def troubles(self) -> tuple[Trouble, ...]:
        """Requests, runs, tables and messages that could not be handled when they were tried last."""

    @abstractmethod
    def settle_drift(
        self, drift: int, how: Literal["adopt", "revert"], *, reason: str, key: str | None = None
    ) -> DriftInfo:
        """Takes a foreign write over, or undoes it."""

    @abstractmethod
    def policies(self) -> tuple[PolicyInfo, ...]:
        """The policies of the governed environments, and those that pipelines have of their own."""

    @abstractmethod
    def policy(self, environment: Environment, pipeline: str | None = None) -> PolicyInfo | None:
        """What was set last for exactly this scope; None when nothing ever was."""

    @abstractmethod
    def set_policy(
        self,
        environment: Environment,
        pipeline: str | None,
        body: Policy | None,
        *,
        if_revision: int | None = None,
        key: str | None = None,
    ) -> PolicyInfo:
        """A new revision; None takes the policy away. `if_revision` 0: none was set yet."""
