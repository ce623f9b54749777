"""Finding 8 on the real engine: each pipeline and each version runs its own bytes in the same warm workers.

Failed on 0.1.0: modules were known by their own names, and what a worker had imported first is what ran.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import Lab, Step, files, sink

HELPER = """
from importlib.resources import files
from pathlib import Path
FACTOR = int(files("etl_helper").joinpath("factor.txt").read_text())
assert Path(__file__).with_name("factor.txt").read_text() == str(FACTOR)
class Doubled:
    def __init__(self, value):
        self.value = value * FACTOR
"""
ETL = """
import etl_helper
from etl_helper import Doubled
from pyspark.sql.functions import col, pandas_udf, udf
from pyspark.sql.types import LongType

@udf(LongType())
def decorated(value):
    from etl_helper import Doubled as Own
    return Own(value).value

def frames(parts):
    import etl_helper
    for part in parts:
        part["f"] = part["x"] * etl_helper.FACTOR
        yield part

def by_name(value):
    return Doubled(value).value

def transform(spark, raw):
    def late(value):
        from etl_helper import FACTOR
        return value * FACTOR
    def series(values):
        import etl_helper as own
        return values * own.FACTOR
    return raw.select(
        "x",
        udf(by_name, "long")("x").alias("a"),
        udf(late, "long")("x").alias("b"),
        udf(lambda value: value * etl_helper.FACTOR, "long")("x").alias("c"),
        pandas_udf(series, "long")("x").alias("d"),
        decorated(col("x")).alias("e"),
    ).mapInPandas(frames, "x long, a long, b long, c long, d long, e long, f long")

def process(batch):
    import pyarrow as pa
    from etl_helper import FACTOR
    values = [by_name(x) for x in batch["x"].to_pylist()]
    return pa.table({"x": batch["x"], "a": values, "b": [x * FACTOR for x in batch["x"].to_pylist()]})
"""


def pipeline(lab: Lab, name: str) -> str:
    spark = {"id": "spark_step", "type": "transform", "step": "spark", "entrypoint": "etl:transform"}
    ray = {
        "id": "ray_step",
        "type": "transform",
        "step": "rayProcess",
        "entrypoint": "etl:process",
        "output_schema": {"x": "long", "a": "long", "b": "long"},
    }
    nodes = (
        files("raw", lab.path("raw.csv"), x="long"),
        spark,
        ray,
        sink("by_spark", lab.named(f"{name}_spark"), "overwrite"),
        sink("by_ray", lab.named(f"{name}_ray"), "overwrite"),
    )
    return lab.pipeline(*nodes, flow="raw>spark_step>by_spark, raw>ray_step>by_ray", name=name)


def prepared(lab: Lab, name: str, factor: int) -> Step:
    code(lab.landing, factor)
    return lab.prepare(pipeline(lab, name))


def code(folder: Path, factor: int) -> None:
    (folder / "etl.py").write_text(ETL)
    (folder / "etl_helper").mkdir(exist_ok=True)
    (folder / "etl_helper" / "__init__.py").write_text(HELPER)
    (folder / "etl_helper" / "factor.txt").write_text(str(factor))


@pytest.mark.slow
def test_two_pipelines_and_two_versions_with_modules_of_one_name_take_turns_in_warm_workers(lab: Lab) -> None:
    lab.file("raw.csv", "x\n1\n2\n")
    # The last is a new version of the first.
    turns = (("one", 10), ("two", 100), ("one", 1000))
    steps = {}
    for name, factor in turns:
        steps[name, factor] = prepared(lab, name, factor)
        steps[name, factor].sink("by_spark")
        steps[name, factor].sink("by_ray")
        expect(lab, name, factor)
    code(lab.landing, 3)  # what lies in the folder now is nothing to runs that have begun
    for name, factor in turns:
        again = lab.prepare("", spec=steps[name, factor].run.spec)
        again.sink("by_spark")
        again.sink("by_ray")
        expect(lab, name, factor)


def expect(lab: Lab, name: str, factor: int) -> None:
    rows = [(x, *[x * factor] * 6) for x in (1, 2)]
    assert lab.rows(f"{name}_spark") == rows
    assert lab.rows(f"{name}_ray") == [row[:3] for row in rows]
