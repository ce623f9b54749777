"""L15: on production's main an operation publishes under a permit and leaves a receipt, wherever its process dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lifecycle.domain.operations import CompactOptions, CompactResult, Operation, OperationKind, OperationState
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Refused
from lifecycle.usecases.operate_table import plan_operation
from lifecycle.usecases.reconcile import reconcile
from tests.drls_dagster.maintenance.conftest import Start
from tests.drls_dagster.maintenance.toy import DEATHS
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, Life

DAILY = "flights.daily"
Ended = Callable[[Operation], Operation]


@pytest.fixture
def released(life: Life) -> int:
    life.to_production(life.save())
    head = life.plane.head(DAILY, "main")
    assert head is not None
    return head


def settled(life: Life, rows: int) -> None:
    """No drift, no open permit, no branch of maintenance, and the rows that were there."""
    assert reconcile(life.ctx, DAGSTER).drifts == ()
    with life.store.read() as view:
        assert view.runs.live_maintenance() == ()
    refs = life.plane.catalog.load_table(DAILY).metadata.refs
    assert [name for name in refs if name.startswith("drls-maintain")] == []
    assert len(life.plane.rows(DAILY)) == rows


@pytest.mark.slow
def test_l15_an_operation_in_production_leaves_a_receipt_of_who_asked(
    life: Life, start: Start, ended: Ended, released: int
) -> None:
    rows = len(life.plane.rows(DAILY))
    done = ended(start(DAILY))
    assert done.state is OperationState.DONE, done.error
    assert isinstance(done.result, CompactResult)
    with life.store.read() as view:
        receipt = view.runs.receipts_on(DAILY, PRODUCTION)[-1]
        granted = [one for one in view.log.entries() if one.verb == "maintenance.granted"]
    assert (receipt.base, receipt.snapshot) == (released, done.result.snapshot)
    assert life.plane.head(DAILY, "main") == receipt.snapshot
    assert [(one.actor["name"], one.actor["part"]) for one in granted] == [("lea", "maintenance")]
    settled(life, rows)


@pytest.mark.slow
@pytest.mark.parametrize("death", DEATHS)
def test_l15_a_killed_operation_is_settled_by_the_next_one(
    life: Life, start: Start, ended: Ended, released: int, death: str
) -> None:
    rows = len(life.plane.rows(DAILY))
    assert ended(start(DAILY, death)).state is OperationState.FAILED
    assert reconcile(life.ctx, DAGSTER).drifts == (), "until then the permit explains it"
    second = ended(start(DAILY, by="leo"))
    assert second.state is OperationState.DONE, second.error
    settled(life, rows)
    with life.store.read() as view:
        receipts = view.runs.receipts_on(DAILY, PRODUCTION)
    snapshots = {one.snapshot_id for one in life.plane.catalog.load_table(DAILY).metadata.snapshots}
    replaced = [one for one in receipts if one.base is not None and one.base >= 0 and one.snapshot in snapshots]
    assert replaced[-1].snapshot == life.plane.head(DAILY, "main")


@pytest.mark.slow
def test_l15_others_that_publish_first_void_the_permit(life: Life, start: Start, ended: Ended, released: int) -> None:
    failed = ended(start(DAILY, "others commit"))
    assert failed.state is OperationState.FAILED
    assert "moved in the meantime" in str(failed.error)
    with life.store.read() as view:
        assert view.runs.live_maintenance() == ()
    assert [one for one in life.plane.catalog.load_table(DAILY).metadata.refs if "maintain" in one] == []


def test_d9_branches_that_hold_evidence_are_refused(life: Life, start: Start) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    with pytest.raises(Refused, match=r"qa of flights.daily holds the evidence of flights in QA"):
        start(DAILY, ref="qa")
    with pytest.raises(Refused, match="would void it"):
        plan_operation(
            life.ctx, life.as_("vic"), OperationKind.COMPACT, TableAt(name=DAILY, environment=QA), None,
            CompactOptions(),
        )  # fmt: skip
