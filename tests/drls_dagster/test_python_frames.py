"""The change feed as a Ray Dataset and as a Spark frame, in a program with a Ray or Spark of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import drls_dagster as drls
from tests.iceberg_tables import make_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("ratio", pa.float64()),
        ("price", pa.decimal128(38, 10)),
        ("at", pa.timestamp("us", "UTC")),
        ("wall", pa.timestamp("us")),
        ("day", pa.date32()),
        ("raw", pa.binary()),
        ("tags", pa.list_(pa.int32())),
        ("point", pa.struct([("x", pa.int32())])),
        ("marks", pa.map_(pa.string(), pa.int32())),
    ]
)
FIRST = {
    "id": 1,
    "name": "é",
    "ratio": math.inf,
    "price": Decimal("9999999999999999999999999999.0000000001"),
    "at": datetime(2026, 3, 1, 1, 2, 3, 4, UTC),
    "wall": datetime(1969, 12, 31, 23, 59, 59, 999_999),
    "day": date(1900, 1, 1),
    "raw": b"\x00\xff",
    "tags": [1, None],
    "point": {"x": 1},
    "marks": [("a", 1)],
}
PROGRAM = """
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
import drls_dagster as drls

seen, file = sys.argv[1:]
changes, none = drls.table("lab.t").changes(), drls.table("lab.t").changes(int(seen))
{body}
pq.write_table(rows, file)
print(json.dumps(columns))
"""
RAY = """
import ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
rows = pa.concat_tables(ray.get(changes.to_ray().to_arrow_refs()))
left = none.to_ray()
columns = [left.count(), left.schema().names]
ray.shutdown()
"""
SPARK = """
from pyspark.sql import SparkSession
spark = (
    SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC").getOrCreate()
)
rows = changes.to_spark(spark).toArrow()
left = none.to_spark(spark)
columns = [left.count(), left.columns]
spark.stop()
"""


@pytest.mark.parametrize("body", [RAY, SPARK], ids=["ray", "spark"])
def test_a_frame_has_the_changes_with_their_values_and_its_columns_also_without_rows(body: str, tmp_path: Path) -> None:
    table = make_table("lab.t", pa.Table.from_pylist([FIRST, {"id": 2}], SCHEMA))
    table.delete("id = 2")
    changes = drls.table("lab.t").changes()
    file = tmp_path / "rows.parquet"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body), str(changes.end), str(file)],
        check=False, capture_output=True, text=True, timeout=560,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    expected = changes.to_arrow()
    order = [("_snapshot_ordinal", "ascending"), ("id", "ascending")]
    rows = pq.read_table(file).sort_by(order).to_pylist()
    assert rows == expected.sort_by(order).to_pylist()
    assert [(row["id"], row["_change_type"]) for row in rows] == [(1, "insert"), (2, "insert"), (2, "delete")]
    assert json.loads(done.stdout.splitlines()[-1]) == [0, expected.schema.names]
