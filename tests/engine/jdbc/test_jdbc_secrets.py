"""The password of a connection is nowhere but where it was set."""

from __future__ import annotations

from pathlib import Path

from lab import Lab, python, sink
from shop import CANARY, jdbc

from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import read_state

# What code of a pipeline can ask Spark for: settings, the plan of what it was given, and the plan of a read of its own.
SPY = """
def transform(spark, orders):
    seen = [f"{row[0]} = {row[1]}" for row in spark.sql("SET -v").collect()]
    seen += [f"{row[0]} = {row[1]}" for row in spark.sql("SET").collect()]
    seen += [orders._explain_string(mode=mode) for mode in ("extended", "formatted", "codegen", "cost")]
    seen += [str(row) for row in spark.sql("SHOW CATALOGS").collect()]
    return spark.createDataFrame([(one,) for one in seen], "text string")
"""


def found_below(folder: Path, text: str) -> list[str]:
    """The files that have the text in them."""
    mark = text.encode()
    files = [one for one in folder.rglob("*") if one.is_file() and not one.is_symlink() and one.suffix != ".jar"]
    return [str(one.relative_to(folder)) for one in files if mark in one.read_bytes()]


def test_the_password_is_in_no_file_event_plan_setting_message_or_environment(lab: Lab, orders: str) -> None:
    text = lab.pipeline(
        jdbc("orders", table=orders, partition_column="id", partitions=2),
        python("spy", SPY),
        sink("out", lab.named("out"), "overwrite"),
        flow="orders>spy>out",
    )
    ran = lab.run(text)
    assert ran.success, ran.failures
    wrong = lab.run(
        lab.pipeline(
            jdbc("orders", "wrong", table=orders), sink("no", lab.named("no"), "overwrite"), flow="orders>no", name="w"
        )
    )
    assert "it refuses the user or the password" in wrong.failure
    seen = "\n".join(str(row) for row in lab.rows("out"))
    assert "spark.sql.session.timeZone" in seen
    assert "Parquet" in seen or "parquet" in seen
    events = "\n".join(str(one) for run in (ran, wrong) for one in lab.instance.all_logs(run.run_id))
    assert "orders" in events
    assert CANARY not in seen + events + str(ran) + str(wrong)
    home = lab.settings.home
    log = found_below(home / "engine" / "events", "drls_bounds")
    assert log, "Spark's event log has what was asked, so that looking for the password there means something"
    assert found_below(home, CANARY) == []
    state = read_state(lab.settings)
    assert state is not None
    for process in processes_of(state.engine_id):
        assert CANARY not in str(process.environ()) + str(process.cmdline())
