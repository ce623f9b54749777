"""Pins, outputs, check results, publish records and branches, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys

from drls_dagster.ledger import Ledger, PublishRecord, open_ledger
from drls_dagster.settings import Settings

BIG = 2**62 + 1

PINNING = """
import json, sys
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import load_settings
print("ready", flush=True)
sys.stdin.readline()
ledger = open_ledger(load_settings())
print(json.dumps([ledger.pin("run", "0", f"node {n}", lambda: {"by": sys.argv[1]}) for n in range(60)]))
"""


def test_d1_the_first_who_asks_decides_what_a_node_is_pinned_to(ledger: Ledger) -> None:
    assert ledger.pin("run", "0", "raw", lambda: {"snapshot": BIG}) == {"snapshot": BIG}
    assert ledger.pin("run", "0", "raw", lambda: {"snapshot": 2}) == {"snapshot": BIG}
    assert ledger.pin("run", "sink.1", "raw", lambda: {"snapshot": 3}) == {"snapshot": 3}
    assert ledger.pin("another", "0", "raw", lambda: {"snapshot": 4}) == {"snapshot": 4}


def test_d1_a_pin_that_another_makes_meanwhile_wins(ledger: Ledger) -> None:
    def slow() -> str:
        ledger.pin("run", "0", "raw", lambda: "theirs")
        return "mine"

    assert ledger.pin("run", "0", "raw", slow) == "theirs"


def test_d1_processes_that_pin_at_once_agree_also_when_they_make_the_tables(settings: Settings) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PINNING, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(2)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert all(answer == answers[0] for answer in answers)
    assert open_ledger(settings).pin("run", "0", "node 0", lambda: None) == answers[0][0]


def test_d2_a_materialised_output_is_found_by_run_node_and_recipe_and_the_last_one_counts(ledger: Ledger) -> None:
    assert ledger.output("run", "step", "key") is None
    ledger.record_output("run", "step", "key", [["a.parquet", 1, 10]])
    ledger.record_output("run", "step", "key", [["b.parquet", 2, 20]])
    assert ledger.output("run", "step", "key") == [["b.parquet", 2, 20]]
    assert ledger.output("run", "step", "other") is None


def test_check_results_are_found_by_recipe_and_the_last_ones_count(ledger: Ledger) -> None:
    assert ledger.checks("run", "raw", "key") is None
    ledger.record_checks("run", "raw", "key", [{"passed": False}])
    ledger.record_checks("run", "raw", "key", [])
    assert ledger.checks("run", "raw", "key") == []


def test_d4_publish_records_of_a_table_come_newest_first(ledger: Ledger) -> None:
    made = [PublishRecord("uuid", "main", BIG + n, "run", "sink", "", {"source": BIG}) for n in range(3)]
    for record in made:
        ledger.record_publish(record)
    assert ledger.publishes("uuid") == made[::-1]
    assert ledger.publishes("another") == []


def test_d13_a_branch_is_on_the_list_until_it_is_closed(ledger: Ledger) -> None:
    ledger.open_branch("shop.sales", "one", "key", "session", "engine", run_id="run")
    ledger.open_branch("shop.other", "two", "run", "session", "engine")
    (one,) = ledger.branches("shop.sales")
    assert (one.branch, one.run_key, one.run_id, one.state, one.is_debris) == ("one", "key", "run", "open", False)
    assert len(ledger.branches()) == 2
    ledger.keep_branch("shop.sales", "one", now=0)
    assert [one.branch for one in ledger.debris()] == ["one"]
    ledger.close_branch("shop.sales", "one")
    assert ledger.branches("shop.sales") == []


def test_a_process_has_one_ledger_of_a_home_and_another_one_after_it_is_closed(settings: Settings) -> None:
    first = open_ledger(settings)
    assert open_ledger(settings) is first
    first.close()
    second = open_ledger(settings)
    assert second is not first
    assert second.branches() == []
