"""Operations in the ledger, on both databases: one per table, notes that outlive their process, and who is dead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from drls_dagster.ledger import Ledger
from drls_dagster.ledger.operations import KILLED, NEVER_STARTED, NewOperation, OperationGone, OperationRow
from drls_dagster.ledger.tables import OPERATIONS
from lifecycle.domain.operations import OperationState
from tests.waiting import wait_until

RUNNING = """
import sys
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import load_settings
ledger = open_ledger(load_settings())
ledger.begin_operation(int(sys.argv[1]))
ledger.note_of_operation(int(sys.argv[1]), "wrote", {"files": ["a", "b"]})
print("runs", flush=True)
input()
"""


def asked(table: str = "shop.sales", kind: str = "compact") -> NewOperation:
    return NewOperation(kind, table, "main", {"all": True}, None, None, "lea", {"name": "lea"})


def reserve(ledger: Ledger, table: str = "shop.sales") -> OperationRow:
    found = ledger.reserve(asked(table))
    assert found is not None
    return found


def state_of(ledger: Ledger, number: int) -> tuple[OperationState, str | None]:
    found = ledger.operation(number)
    assert found is not None
    return found.state, found.error


def test_two_that_ask_at_once_get_one_operation_on_a_table(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(lambda _: ledger.reserve(asked()), range(16)) if one is not None]
    assert len(made) == 1
    assert ledger.reserve(asked("shop.other")) is not None
    ledger.begin_operation(made[0].id)
    assert ledger.reserve(asked()) is None
    ledger.end_operation(made[0].id, OperationState.DONE, result={"new_files": 1})
    again = reserve(ledger)
    assert [one.id for one in ledger.operations(["shop.sales"])] == [again.id, made[0].id]
    assert [one.id for one in ledger.operations(states=[OperationState.DONE])] == [made[0].id]
    assert ledger.operations(before=made[0].id) == []


def test_a_killed_process_leaves_a_failed_operation_and_its_notes(ledger: Ledger) -> None:
    number = reserve(ledger).id
    command = [sys.executable, "-c", RUNNING, str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "runs\n"
        assert state_of(ledger, number) == (OperationState.RUNNING, None)
        assert ledger.reserve(asked()) is None
        process.kill()
        process.wait(30)
    assert state_of(ledger, number) == (OperationState.FAILED, KILLED)
    following = reserve(ledger)
    (left,) = ledger.notes_on("shop.sales", "wrote")
    assert (left.operation, left.facts) == (number, {"files": ["a", "b"]})
    assert ledger.notes_on("shop.other", "wrote") == []
    mine = ledger.note_of_operation(following.id, "wrote", {"files": []})
    ledger.settle_notes([left.id])
    assert [one.id for one in ledger.notes_on("shop.sales", "wrote")] == [mine.id]


def test_elsewhere_an_operation_lives_as_long_as_it_sends_heartbeats(
    ledger: Ledger, elsewhere: Callable[..., Ledger]
) -> None:
    far = elsewhere()
    number = reserve(far).id
    far.begin_operation(number)
    assert far.beat_operation(number) is False
    assert state_of(ledger, number)[0] is OperationState.RUNNING
    wait_until(lambda: state_of(ledger, number) == (OperationState.FAILED, KILLED))
    with pytest.raises(OperationGone, match="took its process for dead"):
        far.note_of_operation(number, "wrote", {})
    assert far.beat_operation(number) is True, "it hears of that"
    far.end_operation(number, OperationState.DONE)
    assert state_of(ledger, number)[0] is OperationState.FAILED


def test_an_operation_whose_process_never_came_gives_its_table_free(ledger: Ledger) -> None:
    number = reserve(ledger).id
    assert ledger.reserve(asked()) is None, "its process may still come"
    with ledger._database.write() as connection:
        connection.execute(OPERATIONS.update().values(until=1.0))
    assert state_of(ledger, number) == (OperationState.FAILED, NEVER_STARTED)
    assert ledger.begin_operation(number) is None
    reserve(ledger)


def test_cancelling(ledger: Ledger) -> None:
    queued = reserve(ledger).id
    ledger.cancel_operation(queued)
    assert state_of(ledger, queued)[0] is OperationState.CANCELLED
    assert ledger.begin_operation(queued) is None
    running = reserve(ledger).id
    ledger.begin_operation(running)
    assert ledger.is_unwanted(running) is False
    ledger.cancel_operation(running)
    assert ledger.is_unwanted(running) is True
    assert state_of(ledger, running)[0] is OperationState.RUNNING, "it stops itself"
    ledger.end_operation(running, OperationState.CANCELLED)
    assert state_of(ledger, running)[0] is OperationState.CANCELLED
    forgotten = reserve(ledger).id
    ledger.forget_operation(forgotten)
    assert ledger.operation(forgotten) is None
