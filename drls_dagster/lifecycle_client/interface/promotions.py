"""Requests to promote: what can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from drls_dagster.lifecycle_client.results import Remark, Request, RequestDetail
from lifecycle.domain.draft import Draft
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State, Verdict
from lifecycle.usecases.compare_data import DataComparison
from lifecycle.usecases.compare_plan import Comparison


class Promotions(ABC):
    """Requests to promote, and what people say to them."""

    @abstractmethod
    def plan(self, name: str, number: int, target: Environment) -> Draft:
        """What promoting would be now; changes nothing."""

    @abstractmethod
    def request(
        self,
        name: str,
        number: int,
        target: Environment,
        *,
        reason: str = "",
        if_plan: str | None = None,
        key: str | None = None,
    ) -> Request:
        """Asks for a promotion; with `if_plan` only while the plan has this digest."""

    @abstractmethod
    def break_glass(
        self, name: str, number: int, target: Environment, *, reason: str, key: str | None = None
    ) -> Request:
        """Deploys at once without approval; the release is labelled unreviewed for good (L7)."""

    @abstractmethod
    def execute(self, request: int) -> Request:
        """Executes or resumes an approved request as far as it goes now."""

    @abstractmethod
    def list(
        self,
        *,
        states: Sequence[State] = (),
        target: Environment | None = None,
        pipeline: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Request, ...]:
        """Requests, newest first; `before` (an id) pages on."""

    @abstractmethod
    def show(self, request: int) -> RequestDetail:
        """A request with its plan, decisions and comments."""

    @abstractmethod
    def comparison(self, request: int) -> Comparison:
        """What moved since an open request was made; asks the catalog."""

    @abstractmethod
    def approve(self, request: int, plan_digest: str, *, reason: str = "", key: str | None = None) -> Request:
        """Says yes to the plan with this digest."""

    @abstractmethod
    def reject(self, request: int, plan_digest: str, *, reason: str, key: str | None = None) -> Request:
        """Says no; one is enough."""

    @abstractmethod
    def withdraw(self, request: int, *, reason: str = "", key: str | None = None) -> Request:
        """Takes a request back."""

    @abstractmethod
    def refresh(self, request: int, *, key: str | None = None) -> Request:
        """A new request for the same with a plan as of now; approvals are not carried over (L8)."""

    @abstractmethod
    def unreviewed(self) -> tuple[Request, ...]:
        """Releases that nobody independent approved or reviewed, oldest first (L7)."""

    @abstractmethod
    def review(
        self, request: int, plan_digest: str, verdict: Verdict, *, reason: str, key: str | None = None
    ) -> Request:
        """Says afterwards what to think of an unreviewed release; its label stays."""

    @abstractmethod
    def comment(self, request: int, body: str, *, key: str | None = None) -> Remark:
        """Adds a remark."""

    @abstractmethod
    def data(self, request: int, table: str, *, again: bool = False) -> DataComparison:
        """What a request changes in a table, as far as it is computed; `again` begins one that failed anew."""
