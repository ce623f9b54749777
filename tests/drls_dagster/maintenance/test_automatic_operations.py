"""The maintenance job's round: it does what policies allow, one table after the other, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyiceberg.transforms import IdentityTransform

from drls_dagster.gate.parts import upkeep_part
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.lifecycle_client.gateway import gateway_actor
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.maintenance.rounds import Keeper, Visit, act
from drls_dagster.runs.client import RunClient
from drls_dagster.runs.opening import direct
from drls_dagster.runs.operations.upkeep import ACTOR
from drls_dagster.runs.part import Part
from drls_dagster.runs.service import RunService
from drls_dagster.settings import Settings
from drls_dagster.tags import MAINTENANCE
from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import CompactOptions, Operation, OperationKind, OperationState
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Forbidden, NotFound, Refused, Unauthorized
from lifecycle.usecases.context import Context
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.operate_table import start_automatic, start_operation, table_policy
from lifecycle.usecases.reconcile import reconcile
from tests.drls_dagster.maintenance.toy import CHILD, KINDS
from tests.fakes.instant_maintenance import InstantMaintenance
from tests.iceberg_tables import make_table
from tests.lifecycle.life import DAGSTER, DEVELOPMENT, PRODUCTION, Life

ALWAYS = {"name": "always", "effect": "allow", "start": "2026-01-01T00:00", "duration": "1d", "rule": "FREQ=DAILY"}
NEVER = {"name": "once", "effect": "allow", "start": "2020-01-01T00:00", "duration": "1h"}
AUTO = {"compact": "auto", "windows": (ALWAYS,), "below": 100}
Client = Callable[..., RunClient]


@pytest.fixture
def ctx(life: Life, settings: Settings) -> Context:
    return replace(life.ctx, maintenance=InstantMaintenance(settings))


@pytest.fixture
def client(ctx: Context, settings: Settings) -> Client:
    """The job's own view of the run service, with these settings of maintenance."""

    def made(environment: Environment = PRODUCTION, **maintenance: Any) -> RunClient:
        given = settings.maintenance.model_validate(maintenance)
        mine = settings.model_copy(update={"maintenance": given})
        there = replace(ctx, maintenance=InstantMaintenance(mine))
        way = direct(mine, "run", "run", [upkeep_part(environment)], RunService(mine, lifecycle=lambda: there))
        return RunClient(way, MAINTENANCE, environment)

    return made


def table(name: str, **properties: str) -> None:
    """Seven small files: the score is below 100."""
    given = {f"drls.maintenance.{key}": value for key, value in properties.items()}
    make_table(name, *[{"x": [number]} for number in range(7)], properties=given)


def operations(settings: Settings) -> list[tuple[str, str, str]]:
    rows = open_ledger(settings).operations()
    return [(one.table_name, one.kind, one.asked_by) for one in reversed(rows)]


def keeper_of(ask: RunClient) -> Keeper:
    return Keeper(ask.begin, ask.follow, ask.stop)


def by_name(visits: Any) -> dict[str, Visit]:
    return {one.name: one for one in visits}


def test_what_a_policy_allows_is_done_and_one_that_fails_stops_no_other(
    life: Life, settings: Settings, client: Client
) -> None:
    table("lab.a")
    table("lab.b")
    table("lab.c", compact="report")
    table("lab.d", expire="auto")
    table("lab.e", compact="no")
    ask = client(**AUTO)
    visits = ask.look_at_tables([])
    load_catalog().drop_table(("lab", "a"))
    told: list[str] = []
    found = by_name(act(keeper_of(ask), visits, told.append))
    assert operations(settings) == [
        ("lab.b", "compact", ACTOR), ("lab.d", "compact", ACTOR), ("lab.d", "expire", ACTOR)
    ]  # fmt: skip
    assert found["lab.a"].done.startswith("compact was not done: there is no table lab.a")
    assert found["lab.b"].done.startswith("compact (1): 2 files rewritten as 1")
    assert found["lab.c"].done.startswith("planned: Compact it")
    assert "expire (3): 1 snapshots expired" in found["lab.d"].done
    assert found["lab.e"].done.endswith("property drls.maintenance.compact is 'no'; use off or report or auto")
    assert {name for name, one in found.items() if one.failed} == {"lab.a"}
    assert len(told) == 3
    with life.store.read() as view:
        (first, *_) = [one for one in view.log.entries() if one.verb == "operation.started"]
    assert (first.actor["name"], first.actor["way_in"], first.actor.get("person")) == (ACTOR, "dagster", None)


def test_nothing_is_done_by_default_where_a_table_is_healthy_or_by_another_operation(
    settings: Settings, client: Client
) -> None:
    table("lab.a")
    for ask in (client(below=100), client(compact="auto", windows=(ALWAYS,), below=0)):
        assert not any(one.acts for one in act(keeper_of(ask), ask.look_at_tables([])))
    assert operations(settings) == []
    with pytest.raises(Refused, match="does not allow it"):
        client(**AUTO).begin("lab.a", OperationKind.EXPIRE)


def test_rows_are_ordered_as_the_table_or_the_setting_says(settings: Settings, client: Client) -> None:
    table("lab.a", strategy="sort")
    table("lab.b", strategy="binpack")
    table("lab.c")
    with load_catalog().load_table(("lab", "c")).update_sort_order() as order:
        order.asc("x", IdentityTransform())
    table("lab.d")
    ask = client(**AUTO, strategy="sort")
    act(keeper_of(ask), ask.look_at_tables([]))
    done = {one.table_name: one.options["strategy"] for one in open_ledger(settings).operations()}
    assert done == {"lab.a": "sort", "lab.b": "binpack", "lab.c": "sort", "lab.d": "binpack"}


def test_outside_of_a_window_production_waits_and_says_until_when(settings: Settings, client: Client) -> None:
    table("lab.a")
    table("flights__development.daily")
    ask = client(compact="auto", windows=(NEVER,), below=100)
    (visit,) = act(keeper_of(ask), ask.look_at_tables([]))
    assert visit.done.endswith("waits: no maintenance window is open: once")
    with pytest.raises(Refused, match="no maintenance window is open"):
        ask.begin("lab.a", OperationKind.COMPACT)
    day = datetime.now(UTC).date() + timedelta(days=2)
    opens = {**NEVER, "start": f"{day}T00:00"}
    with pytest.raises(Refused, match=f"the next one opens at {day} 00:00 UTC"):
        client(compact="auto", windows=(opens,), below=100).begin("lab.a", OperationKind.COMPACT)
    here = client(DEVELOPMENT, compact="auto", below=100)
    assert [one.acts for one in here.look_at_tables([])] == [True], "only production has windows"
    with pytest.raises(Forbidden, match="not one of development's own tables"):
        here.begin("lab.a", OperationKind.COMPACT)


@pytest.mark.parametrize("pipeline", [None, "flights"])
def test_l9_a_stop_holds_every_operation_and_a_freeze_the_automatic_ones(
    life: Life, ctx: Context, client: Client, pipeline: str | None
) -> None:
    life.to_production(life.save())
    ask, lea, daily = client(**AUTO), life.as_("lea"), TableAt(name="flights.daily")
    for kind, by_hand in ((HoldKind.STOP, False), (HoldKind.FREEZE, True)):
        hold = set_hold(ctx, lea, kind, PRODUCTION, pipeline, reason="odd data")
        with pytest.raises(Refused, match=r"odd data.; a LeadDataEngineer can lift the " + kind.value):
            ask.begin("flights.daily", OperationKind.COMPACT)
        assert "odd data" in table_policy(ctx, life.as_("vic"), daily).waits
        if by_hand:
            assert start_operation(ctx, lea, OperationKind.COMPACT, daily, None, CompactOptions()).state.is_over
        else:
            with pytest.raises(Refused, match="is stopped"):
                start_operation(ctx, lea, OperationKind.COMPACT, daily, None, CompactOptions())
        lift_hold(ctx, lea, hold.id)
    assert ask.begin("flights.daily", OperationKind.COMPACT) is not None


def test_l9_a_stop_elsewhere_holds_nothing(life: Life, ctx: Context, client: Client) -> None:
    table("lab.a")
    life.save()
    set_hold(ctx, life.as_("lea"), HoldKind.STOP, Environment.QA, None, reason="x")
    set_hold(ctx, life.as_("lea"), HoldKind.STOP, PRODUCTION, "flights", reason="x")
    assert client(**AUTO).begin("lab.a", OperationKind.COMPACT) is not None


def test_of_two_at_once_one_waits_for_nobody_and_does_nothing_twice(
    life: Life, ctx: Context, settings: Settings, client: Client
) -> None:
    table("lab.a")
    busy = start_operation(
        ctx, life.as_("lea"), OperationKind.COMPACT, TableAt(name="lab.a"), None, CompactOptions(where="wait")
    )
    ask = client(**AUTO)
    (visit,) = act(keeper_of(ask), ask.look_at_tables([]))
    assert f"compact was not done: operation {busy.id} (compact, started by lea) is running on lab.a" in visit.done
    assert not visit.failed
    assert len(operations(settings)) == 1
    for call in (ask.follow, ask.stop):
        with pytest.raises(NotFound, match="no automatic operation"):
            call(busy.id)
    with pytest.raises(Refused, match="lea is a person"):
        start_automatic(ctx, life.as_("lea"), OperationKind.COMPACT, "lab.a", CompactOptions())


class _Ended(BaseException):
    """Somebody ended the job's run."""


class _Interrupted:
    """A way to real operations that is interrupted while it waits for the first one."""

    def __init__(self, ask: RunClient, ctx: Context) -> None:
        self._ask, self._ctx, self.stopped = ask, ctx, list[Operation]()

    def begin(self, name: str, kind: OperationKind) -> Operation | None:
        return start_automatic(self._ctx, gateway_actor(ACTOR), kind, name, CompactOptions(where="wait"))

    def follow(self, operation_id: int) -> Operation:
        assert not self._ask.follow(operation_id).state.is_over
        raise _Ended

    def stop(self, operation_id: int) -> Operation:
        self.stopped.append(self._ask.stop(operation_id))
        return self.stopped[-1]


def test_the_end_of_the_run_cancels_its_operation_and_begins_no_other(
    life: Life, ctx: Context, settings: Settings, client: Client
) -> None:
    table("lab.a")
    table("lab.b")
    ask = client(**AUTO)
    keeper = _Interrupted(ask, ctx)
    with pytest.raises(_Ended):
        act(Keeper(keeper.begin, keeper.follow, keeper.stop), ask.look_at_tables([]))
    assert [one.state for one in keeper.stopped] == [OperationState.CANCELLED]
    assert len(operations(settings)) == 1
    with life.store.read() as view:
        entries = [one for one in view.log.entries() if one.verb.startswith("operation.")]
    assert [(one.verb, one.actor["name"]) for one in entries] == [
        ("operation.started", ACTOR), ("operation.cancelled", ACTOR)
    ]  # fmt: skip


def test_the_token_of_a_maintenance_run_is_for_maintenance_alone(
    life: Life, ctx: Context, settings: Settings, client: Client
) -> None:
    with pytest.raises(Unauthorized, match="load_table is not for runs of Maintenance"):
        client(DEVELOPMENT).load_table(("flights__development", "daily"))
    version = life.save()
    part = Part("flights", version.digest, DEVELOPMENT)
    way = direct(settings, "run", "run", [part], RunService(settings, lifecycle=lambda: ctx))
    with pytest.raises(Unauthorized, match="begin is not for runs of flights"):
        RunClient(way, "flights", DEVELOPMENT).begin("lab.a", OperationKind.COMPACT)
    with pytest.raises(Unauthorized, match="not for 'Maintenance'"):
        RunClient(way, MAINTENANCE, DEVELOPMENT).look_at_tables([])


@pytest.mark.slow
def test_a_table_is_compacted_in_a_process_of_its_own_and_a_second_round_finds_nothing(
    life: Life, settings: Settings, ended: Callable[[Operation], Operation]
) -> None:
    order = {"drls.maintenance.strategy": "sort", "drls.maintenance.columns": "x"}
    make_table("lab.many", *[{"x": [number]} for number in reversed(range(7))], properties=order)
    mine = settings.model_copy(update={"maintenance": settings.maintenance.model_validate(AUTO)})
    ask = with_real_processes(life, TableMaintenance(mine), mine)
    before = load_catalog().load_table(("lab", "many")).scan().to_arrow().sort_by("x")
    (first,) = act(keeper_of(ask), ask.look_at_tables(["lab.many"]))
    assert "7 files rewritten as 1" in first.done, first.done
    ended(ask.follow(1))
    after = load_catalog().load_table(("lab", "many")).scan().to_arrow()
    assert after["x"].to_pylist() == list(range(7)), "as its properties say"
    assert after == before
    assert ask.begin("lab.many", OperationKind.COMPACT) is None
    assert len(operations(mine)) == 1


@pytest.mark.slow
def test_l15_an_automatic_operation_in_production_has_a_permit_and_a_receipt(
    life: Life, settings: Settings, ended: Callable[[Operation], Operation]
) -> None:
    life.to_production(life.save())
    mine = settings.model_copy(update={"maintenance": settings.maintenance.model_validate(AUTO)})
    ask = with_real_processes(life, TableMaintenance(mine, kinds=KINDS, child=CHILD), mine)
    begun = ask.begin("flights.daily", OperationKind.COMPACT)
    assert begun is not None
    done = ended(begun)
    assert (done.state, done.asked_by) == (OperationState.DONE, ACTOR), done.error
    with life.store.read() as view:
        receipt = view.runs.receipts_on("flights.daily", PRODUCTION)[-1]
        entries = [one for one in view.log.entries() if one.verb in ("maintenance.granted", "operation.ended")]
    assert life.plane.head("flights.daily", "main") == receipt.snapshot
    assert [(one.verb, one.actor["name"]) for one in entries] == [
        ("maintenance.granted", ACTOR), ("operation.ended", ACTOR)
    ]  # fmt: skip
    assert reconcile(life.ctx, DAGSTER).drifts == ()


def with_real_processes(life: Life, maintenance: TableMaintenance, settings: Settings) -> RunClient:
    ctx = replace(life.ctx, maintenance=maintenance)
    service = RunService(settings, lifecycle=lambda: ctx)
    way = direct(settings, "run", "run", [upkeep_part(PRODUCTION)], service)
    return RunClient(way, MAINTENANCE, PRODUCTION)
