"""The password of a connection to Kafka is nowhere but where it was set."""

from __future__ import annotations

from lab import Lab, python, sink
from topics import CANARY, SPY, found_below, kafka, orders

from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import read_state
from tests.kafka_server import Kafka


def test_the_password_is_in_no_file_event_plan_setting_message_or_environment(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    broker.send(topic, *orders(0, 20))
    text = lab.pipeline(
        kafka("orders", topic), python("spy", SPY), sink("out", lab.named("out"), "overwrite"), flow="orders>spy>out"
    )
    ran = lab.run(text)
    assert ran.success, ran.failures
    wrong = lab.run(
        lab.pipeline(
            kafka("orders", topic, "wrong"), sink("no", lab.named("no"), "overwrite"), flow="orders>no", name="w"
        )
    )
    assert "the brokers refuse the user or the password; correct user, password" in wrong.failure
    seen = "\n".join(str(row) for row in lab.rows("out"))
    assert "spark.sql.session.timeZone" in seen
    assert "arquet" in seen
    events = "\n".join(str(one) for run in (ran, wrong) for one in lab.instance.all_logs(run.run_id))
    assert "orders" in events
    said = seen + events + str(ran) + str(wrong)
    home = lab.settings.home
    assert found_below(home / "engine" / "events", f"KafkaRelation(strategy=Assign[{topic}-0"), (
        "Spark's event log has how the topic was read, so that looking for the password there means something"
    )
    state = read_state(lab.settings)
    assert state is not None
    for process in processes_of(state.engine_id):
        said += str(process.environ()) + str(process.cmdline())
    assert CANARY not in said
    assert found_below(home, CANARY) == []
