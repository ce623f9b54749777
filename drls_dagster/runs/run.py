"""A run of one pipeline as the service sees it: what its token says, and where what it may touch is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.naming import separate_location, table_location
from drls_dagster.ledger import Ledger
from drls_dagster.runs.part import Part
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.token import Bound
from drls_dagster.settings import Settings
from drls_dagster.traces.place import Place, read_place
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Admission
from lifecycle.errors import Forbidden
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.specs import spec_of

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from drls_dagster.runs.run_tables import RunTables

_DEVELOPMENTS = re.compile(r".+__development\.[^.]+")


@dataclass
class Run:
    """One pipeline of the run of a token, for one call. `ctx` is None in a home that has no lifecycle yet."""

    settings: Settings
    bound: Bound
    part: Part
    ledger: Ledger
    ctx: Context | None
    admission: Admission | None
    open_catalog: Callable[[], Catalog]

    @property
    def name(self) -> str:
        return self.part.pipeline

    @property
    def environment(self) -> Environment:
        return self.part.environment

    @property
    def run_id(self) -> str:
        return self.bound.run_id

    @property
    def run_key(self) -> str:
        return self.bound.run_key

    @property
    def catalog(self) -> Catalog:
        """The platform's own catalog."""
        return self.open_catalog()

    @cached_property
    def tables(self) -> RunTables:
        """What the run may ask of it."""
        from drls_dagster.runs.run_tables import RunTables
        from drls_dagster.runs.table_policy import TablePolicy

        branches = self.ledger.branches
        policy = TablePolicy(self.name, self.spec, self.environment, self.run_id, branches, self.gave_up)
        return RunTables(self.settings, policy, self.open_catalog)

    def gave_up(self, owner: str, table: str) -> bool:
        """Whether the lifecycle knows the pipeline `owner`, and no active version of it still writes `table` (D11)."""
        if self.admission is None:
            return False
        with self.lifecycle.store.read() as view:
            writes = view.pipelines.owners([table], but=self.admission.pipeline_id).get(table)
            return writes != owner and view.pipelines.find(owner) is not None

    def trace_at(self, at: Place | None = None) -> Place | None:
        """Where in the run's own trace something happens: `at`, if that is a span of it."""
        own = read_place(self.bound.trace)
        return at if own is not None and at is not None and at.trace == own.trace else own

    @property
    def traced(self) -> dict[str, str]:
        """What each span of the run says of it."""
        return {
            "run_id": self.run_id,
            "pipeline": self.name,
            "version": self.part.digest,
            "environment": self.environment.value,
        }

    def actor(self, part: str = "run") -> Actor:
        return self.bound.actor(part)

    @property
    def lifecycle(self) -> Context:
        """Raises GateRefused in a home that has none."""
        if self.ctx is None:
            raise GateRefused("nothing is saved here, so nothing is deployed")
        return self.ctx

    @property
    def admitted(self) -> Admission:
        """Raises GateRefused for a draft, which has no admission."""
        if self.admission is None:
            raise GateRefused(f"run {self.run_id} of {self.name} was not admitted; launch it through DRLS")
        return self.admission

    @cached_property
    def spec(self) -> PipelineSpec | None:
        """The version of the token; None for a draft, which the store does not have."""
        if self.ctx is None:
            return None
        with self.ctx.store.read() as view:
            pipeline = view.pipelines.find(self.name)
            version = view.pipelines.with_digest(pipeline.id, self.part.digest) if pipeline else None
        return None if version is None else spec_of(version)

    def require_table(self, table: str) -> None:
        """Raises Forbidden for a table that is not one which this run writes, by its name in the catalog.

        A draft may write whatever is development's own.
        """
        spec = self.spec
        if spec is None:
            allowed = bool(_DEVELOPMENTS.fullmatch(table))
        else:
            places = [table_location(self.environment, sink.table) for sink in spec.sinks]
            places += [own for sink in spec.sinks if (own := separate_location(self.environment, sink.table))]
            allowed = table in {one.name for one in places}
        if not allowed:
            raise Forbidden(f"run {self.run_id} of {self.name} does not write {table}")

    def require_sink(self, table: str) -> None:
        """Raises Forbidden for a table that the version does not write, by its name in the spec."""
        spec = self.spec
        if spec is None or table not in {sink.table for sink in spec.sinks}:
            raise Forbidden(f"run {self.run_id} of {self.name} does not write {table}")

    def require_execution(self, execution: str) -> None:
        """Raises Forbidden for the execution of another run."""
        if self.ledger.run_of(execution) != self.run_id:
            raise Forbidden(f"run {self.run_id} is not executed as {execution}")
