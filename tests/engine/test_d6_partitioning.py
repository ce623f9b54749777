"""D6, D10: a table's partitioning changes under `overwrite_partitions`, and its older files lie in the earlier one."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Lab, files, sink

OLD = "at,name,n\n2024-01-01T10:00:00Z,anna,1\n2024-01-02T10:00:00Z,berta,2\n,,3\n2024-01-01T11:00:00Z,anton,4\n"
NEW = "at,name,n\n2024-01-01T12:00:00Z,anna,10\n,,30\n"


def version(lab: Lab, layout: list[Any]) -> str:
    return lab.pipeline(
        files("raw", lab.path("*.csv"), at="timestamp", name="string", n="int"),
        sink("out", lab.named("out"), "overwrite_partitions", partition_by=layout),
        flow="raw>out",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (["name"], ["day(at)"], [2, 10, 30]),
        (["day(at)"], ["truncate(1, name)"], [2, 10, 30]),
        (["name"], ["month(at)", "bucket(4, name)"], [2, 4, 10, 30]),
    ],
)
def test_d6_rows_of_an_earlier_partitioning_are_replaced_like_the_others(
    lab: Lab, before: list[str], after: list[str], left: list[int]
) -> None:
    lab.file("a.csv", OLD)
    lab.prepare(version(lab, before)).sink("out")
    lab.file("a.csv", NEW)
    for _ in range(2):
        lab.prepare(version(lab, after)).sink("out")
        assert sorted(row[2] for row in lab.rows("out")) == left
