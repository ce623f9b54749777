"""A receipt says what fenced its run, and the processes of that run's code say the same of themselves (A7)."""

from __future__ import annotations

import pytest
from lab import python, ray, sink, sql
from lifecycle_lab import QA, LifecycleLab

from drls_dagster.fences import enter
from drls_dagster.fences.facts import fence_facts
from lifecycle.domain.fence import FenceKind

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock"),
]
# Its own text, so that it needs no module where it runs.
STANDS = """
def stands():
    import os
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    try:
        os.listdir(HOME)
        found = bool(os.path.exists(HOME + "/lifecycle.db"))
    except OSError:
        found = False
    return "pid %d: %s" % (os.getpid(), "in a fence" if lines["NoNewPrivs"].strip() == "1" and not found else "free")
"""
IN_TRANSFORM = """
def transform(spark, raw):
    return spark.createDataFrame([("code host", stands())], "place string, said string")
"""
IN_UDF = """
def transform(spark, raw):
    from pyspark.sql.functions import lit, udf
    def tried():
        names = {"HOME": HOME}
        exec(TEXT, names)
        return names["stands"]()
    return raw.limit(1).select(lit("Spark's Python").alias("place"), udf(tried)().alias("said"))
"""
IN_PROCESS = """
def process(batch):
    import pyarrow as pa
    return pa.table({"place": ["Ray host"], "said": [stands()]})
"""
UNION = " UNION ALL ".join(f"SELECT place, said FROM {name}" for name in ("driver", "worker", "ray"))


def test_a7_the_receipt_of_a_run_says_what_fenced_the_code_that_ran(life: LifecycleLab) -> None:
    def code(text: str) -> str:
        return f"TEXT = {STANDS!r}\nHOME = {str(life.settings.home)!r}\n{STANDS}\n{text}"

    assert (life.settings.home / "lifecycle.db").exists()
    life.file("a.csv", "id\n1\n")
    number = life.save(
        life.csv(id="long"),
        python("driver", code(IN_TRANSFORM)),
        python("worker", code(IN_UDF)),
        ray("ray", code(IN_PROCESS), place="string", said="string"),
        sql("every", UNION),
        sink("out", life.named("out"), "overwrite"),
        flow="raw>driver>every>out, raw>worker>every, raw>ray>every",
    )
    life.promote(number, QA)
    life.works(QA)
    said = dict(life.on("out", "qa", "place", "said"))
    assert said.keys() == {"code host", "Spark's Python", "Ray host"}
    assert {one.partition(": ")[2] for one in said.values()} == {"in a fence"}, said
    assert len({one.partition(": ")[0] for one in said.values()}) == 3, "each has a process of its own"
    (receipt,) = life.receipts("out", QA)
    assert receipt.details.fence is FenceKind.LANDLOCK
    assert receipt.details.fence is fence_facts(life.settings).kind
