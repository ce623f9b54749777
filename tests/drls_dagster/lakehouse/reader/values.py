"""Rows with everything that is hard to show."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa

HARD = pa.table(
    {
        "id": pa.array([1, 2**60, None], pa.int64()),
        "ratio": pa.array([float("nan"), -0.0, float("-inf")], pa.float64()),
        "price": pa.array([Decimal("1.10"), Decimal("0.00"), None], pa.decimal128(9, 2)),
        "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
        "note": ["x" * 5_000, "a\x00b\x1b[31m<script>", ""],
        "day": [date(2013, 1, 1), date(9999, 12, 31), None],
        "at": pa.array([datetime(2013, 1, 1, 12, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
        "local": pa.array([datetime(2013, 1, 1, 12), None, None], pa.timestamp("us")),
        "parts": [{"a": 1, "b": [1.5, float("nan")]}, None, {"a": None, "b": []}],
        "tags": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int32())),
    }
)
SHOWN = [
    [
        1, "nan", "1.10", "00ff", "x" * 200 + "… (5,000 characters)", "2013-01-01", "2013-01-01T12:00:00+00:00",
        "2013-01-01T12:00:00", {"a": 1, "b": [1.5, "nan"]}, [["k", 1]],
    ],
    [str(2**60), -0.0, "0.00", "", "a\x00b\x1b[31m<script>", "9999-12-31", None, None, None, []],
    [None, "-inf", None, None, "", None, None, None, {"a": None, "b": []}, None],
]  # fmt: skip
TYPES = [
    "long", "double", "decimal(9, 2)", "binary", "string", "date", "timestamptz", "timestamp",
    "struct<a: long, b: list<double>>", "map<string, int>",
]  # fmt: skip
