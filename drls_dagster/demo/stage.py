"""What the scenes have in common: a run, a request, an approval, a refusal that has to come, the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from drls_dagster.demo.telling import Astray
from drls_dagster.demo.weight import Weight, weigh
from drls_dagster.errors import DrlsError
from drls_dagster.launch.choices import read_parameters, read_partitions, select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.launch.progress import RunOutcome
from drls_dagster.launch.run import launch
from lifecycle.domain.environment import Environment
from lifecycle.domain.plan import Carry
from lifecycle.domain.promotion import State

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from drls_dagster.demo.cast import Cast
    from drls_dagster.settings import Settings
    from lifecycle.verbs.answers import Request, RequestDetail

JUNE = "2013-06-01"
SUMMER = "2013-06-01...2013-08-01"


@dataclass(frozen=True)
class Stage:
    """A pipeline of its own, and those who work on it. Everything happens in this process."""

    settings: Settings
    cast: Cast
    name: str
    tables: tuple[str, ...]

    @cached_property
    def catalog(self) -> Catalog:
        from drls_dagster.lakehouse.catalog import load_catalog

        return load_catalog(self.settings)

    def run(self, environment: Environment, partition: str, *, deployed: Environment | None = None) -> RunOutcome:
        """Run, in an environment, the version that is deployed there; or the one of another environment."""
        loaded = find_pipeline(self.name, self.settings, deployed or environment)
        assert loaded.spec is not None, "find_pipeline gives only pipelines that load"  # noqa: S101
        (window,) = read_partitions(loaded.spec, partition, each=False)
        return launch(
            loaded,
            self.settings,
            environment,
            nodes=select_nodes(loaded.spec, None),
            parameters=read_parameters(loaded.spec, ()),
            partitions=window,
        )

    def run_well(self, environment: Environment, partition: str) -> str:
        """Run and say what was published. Raises Astray when the run fails."""
        outcome = self.run(environment, partition)
        if not outcome.success:
            raise Astray(f"the run in {environment.value} failed: {outcome.failure}")
        tables = ", ".join(f"{_short(table['name'])} {table['rows_added']:,} rows" for table in outcome.tables)
        return f"{tables}; {_checks(outcome)}"

    def to_qa(self, number: int) -> None:
        """QA asks for no approval."""
        request = self.cast.ada.promotions.request(self.name, number, Environment.QA)
        self.expect(self.cast.ada.promotions.execute(request.id), State.DONE)

    def approved_by_grace(self, request: Request) -> RequestDetail:
        """Grace looks at the plan and says yes to it; with her yes it executes."""
        seen = self.cast.grace.promotions.show(request.id)
        self.expect(self.cast.grace.promotions.approve(request.id, seen.plan_digest), State.DONE)
        return self.cast.grace.promotions.show(request.id)

    def expect(self, request: Request, state: State) -> None:
        if request.state is not state:
            why = request.outcome or request.waiting
            raise Astray(f"request {request.id} is {request.state.value} instead of {state.value}: {why}")

    def refusal(self, act: Callable[[], object], wanted: str) -> str:
        """What the product says to `act`. Raises Astray when it lets it happen, or refuses for another reason."""
        try:
            act()
        except DrlsError as error:
            return self.told(error.message, wanted)
        raise Astray(f"this should have been refused with '{wanted}', but was not")

    def told(self, message: str, wanted: str) -> str:
        if wanted not in message:
            raise Astray(f"this should have been refused with '{wanted}', but was refused with '{message}'")
        return message

    def heads(self, ref: str = "main") -> Mapping[str, int | None]:
        """The snapshot of each table that `ref` points to."""
        from drls_dagster.lakehouse.refs import head

        return {table: head(self.catalog.load_table(table), ref) for table in self.tables}

    def moved_only(self, act: Callable[[], RequestDetail], before: Weight) -> tuple[RequestDetail, str]:
        """`act`, and that it carried data into production without a new data file. Raises Astray otherwise."""
        done = act()
        if done.plan.carry is not Carry.SNAPSHOT:
            raise Astray(f"request {done.id} should have moved refs, but did not: {done.plan.carry_reason}")
        written = self.weigh() - before
        if written.data_files or written.bytes:
            raise Astray(f"request {done.id} should have copied nothing, but wrote {written.bytes} bytes of data")
        wanted = {table.table: table.candidate for table in done.plan.tables}
        if self.heads() != wanted:
            raise Astray(f"production should be at {wanted}, but is at {self.heads()}")
        return done, (
            f"{written.bytes} bytes copied, {written.data_files} data files written in addition to the "
            f"existing {before.data_files} ({before.bytes:,} bytes), {written.metadata_files} metadata files"
        )

    def weigh(self) -> Weight:
        return weigh(self.catalog, self.tables)


def moves(request: RequestDetail) -> list[str]:
    """Where each table of a plan goes from and to."""
    return [f"{_short(one.table)}: snapshot {one.base or 'none'} → {one.candidate}" for one in request.plan.tables]


def _short(table: str) -> str:
    return table.rpartition(".")[2]


def _checks(outcome: RunOutcome) -> str:
    failed = [check for check in outcome.checks if not check["passed"]]
    warned = f", {failed[0]['check']} warns" if failed else ""
    return f"{len(outcome.checks) - len(failed)} of {len(outcome.checks)} checks passed{warned}"
