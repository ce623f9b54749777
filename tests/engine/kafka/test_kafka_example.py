"""The example of a topic on its way to production: it says what DuckDB says, and its position comes along."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lifecycle_lab import PRODUCTION, QA, UAT, LifecycleLab

from drls_dagster.cli.demo_data import lay_out
from lifecycle.domain.plan import Carry
from lifecycle.spec import load_pipeline
from tests.kafka_server import Kafka

EXAMPLE = Path(__file__).parents[3] / "examples/kafka/january_arrivals.yaml"
COLUMNS = "carrier, flight, origin, dest, day, arr_delay"
SAYS = f"SELECT {COLUMNS} FROM read_csv('{{file}}', nullstr = 'NA', sample_size = -1) WHERE month = 1"


@pytest.mark.timeout(900)
def test_d4_l4_a_topic_goes_to_production_with_the_reviewed_rows_and_its_position_and_equals_duckdbs_answer(
    life: LifecycleLab, broker: Kafka, tmp_path: Path
) -> None:
    file = lay_out(tmp_path) / "flights.csv"
    says = SAYS.format(file=file)
    messages = [text for (text,) in duckdb.sql(f"SELECT to_json(one)::varchar FROM ({says}) one").fetchall()]
    topic = broker.topic("arrivals", partitions=2)
    for partition in range(2):
        broker.send(topic, *messages[partition::2], partition=partition)
    broker.send(topic, "not an arrival", b"\xff", key=b"gate 7")
    spec = load_pipeline(EXAMPLE)
    life.name, life.ns = spec.name, "topics"
    number = life.ada.pipelines.save(spec, search_path=[EXAMPLE.parent]).number
    life.walk(number, QA, UAT)
    asked = life.ask(number, PRODUCTION)
    plan = life.lea.promotions.show(asked.id).plan
    assert plan.carry is Carry.SNAPSHOT
    assert [(one.table, one.source, one.state) for one in plan.positions] == [
        ("topics.late_arrivals", "operations/arrivals", "continues"),
        ("topics.unread_arrivals", "operations/arrivals", "continues"),
    ]
    life.approve(asked)
    late = duckdb.sql(f"SELECT * FROM ({says}) WHERE arr_delay > 15 ORDER BY ALL").fetchall()
    assert len(late) > 5_000
    assert sorted(row[:6] for row in life.on("late_arrivals", "main")) == late
    letters = ("partition", "key", "value", "reason")
    unread = [(0, b"gate 7", b"not an arrival", "not JSON"), (0, b"gate 7", b"\xff", "not UTF-8")]
    assert sorted(life.on("unread_arrivals", "main", *letters)) == sorted(unread)
    broker.send(topic, "[]", partition=1)
    broker.send(topic, *messages[:50], partition=1)  # production continues where the reviewed run stopped
    life.works(PRODUCTION)
    more = duckdb.sql(f"SELECT * FROM ({says} LIMIT 50) WHERE arr_delay > 15").fetchall()
    assert sorted(row[:6] for row in life.on("late_arrivals", "main")) == sorted([*late, *more])
    kept = [*unread, (1, None, b"[]", "JSON, but not of the source's schema")]
    assert sorted(life.on("unread_arrivals", "main", *letters), key=str) == sorted(kept, key=str)
    for table in ("late_arrivals", "unread_arrivals"):
        assert life.unanswered(table, PRODUCTION) == []
        read = life.receipts(table, PRODUCTION)[-1].details.inputs
        assert [one.amount for one in read] == ["51 rows, 1 of them dead letters"]
