"""What is not wholly a value of a column's type is none, in every mode and format (finding 24)."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from lab import Lab
from test_file_contract import rows

from drls_dagster.steps.sources.pins import SourceUnreadable

SCHEMA = {"id": "int", "v": "decimal(9,3)", "d": "date"}
GOOD = [(1, "1234.5", "2024-01-31"), (2, "-1E2", "2024-1-5"), (3, "7", "2024-02-29 00:00:00"), (4, None, None)]
WANTED = [
    (1, Decimal("1234.500"), date(2024, 1, 31)),
    (2, Decimal(-100), date(2024, 1, 5)),
    (3, Decimal(7), date(2024, 2, 29)),
    (4, None, None),
]
# What Spark makes of them by itself: 15, 1234.56, the date alone, and the first of the year.
BAD = [
    (5, "1,5", None), (6, "1.234,56", None), (7, None, "2024-01-01 10:00:00"), (8, None, "2024-01-01T00:00:01Z"),
    (9, None, "2024"), (10, "x", None), (11, "12345678", None), (12, None, "2024-02-30"), (13, None, "2024-1-1 9"),
]  # fmt: skip


def write(lab: Lab, kind: str, values: list[tuple[Any, ...]], name: str = "a") -> None:
    if kind == "csv":
        lines = (";".join("" if value is None else str(value) for value in row) for row in values)
        lab.file(f"{name}.csv", "id;v;d\n" + "\n".join(lines) + "\n")
    else:
        lab.file(f"{name}.json", "".join(json.dumps(dict(zip(SCHEMA, row, strict=True))) + "\n" for row in values))


def options(kind: str, **more: Any) -> dict[str, Any]:
    return {**({"header": True, "sep": ";"} if kind == "csv" else {}), **more}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_comma_in_a_decimal_and_a_time_in_a_date_are_no_values_in_any_mode(lab: Lab, kind: str) -> None:
    """Failed before: dates lost their time, and JSON, `DROPMALFORMED` and `_corrupt_record` made 15 of `1,5`."""
    write(lab, kind, [*GOOD, *BAD])
    path = f"*.{kind}"
    assert rows(lab, path, kind, SCHEMA, **options(kind, mode="DROPMALFORMED")) == WANTED
    nulls = sorted([*WANTED, *((row[0], None, None) for row in BAD)], key=repr)
    assert rows(lab, path, kind, SCHEMA, **options(kind, mode="PERMISSIVE")) == nulls
    kept = rows(lab, path, kind, {**SCHEMA, "_corrupt_record": "string"}, **options(kind))
    broken = {row[0]: str(row[3]) for row in kept if row[3] is not None}
    assert sorted(broken) == [row[0] for row in BAD]
    assert all(str(one) in broken[row[0]] for row in BAD for one in row[1:] if one is not None)
    assert [row[:3] for row in kept if row[3] is None] == WANTED
    for row in BAD:
        write(lab, kind, [*GOOD, row])
        with pytest.raises(SourceUnreadable) as refused:
            rows(lab, path, kind, SCHEMA, **options(kind))
        place = "line 6" if kind == "csv" else "line 5"
        what = "decimal" if row[1] is not None else "date"
        assert f"({place}, column '{'v' if row[1] else 'd'}') has a value that is not a {what}" in str(refused.value)
        assert str(row[1] or row[2]) not in str(refused.value).partition(" has a ")[2].replace("2024-01-31", "")


@pytest.mark.slow
def test_decimals_and_dates_inside_of_other_values_are_held_to_the_same(lab: Lab) -> None:
    schema = {"id": "int", "s": "struct<v:decimal(5,2),l:array<date>>", "m": "map<string,decimal(5,2)>"}
    good = {"id": 1, "s": {"v": 1.25, "l": ["2024-01-01", None]}, "m": {"a": "3.5", "b": 12345678901234567890}}
    lab.file("a.json", json.dumps({**good, "m": {"a": "3.5"}}) + "\n" + json.dumps({"id": 2}) + "\n")
    wanted = [
        (1, (Decimal("1.25"), [date(2024, 1, 1), None]), {"a": Decimal("3.50")}),
        (2, None, None),
    ]
    assert rows(lab, "a.json", "json", schema) == wanted
    for part in ({"m": {"a": "3,5"}}, {"s": {"v": "1,5"}}, {"s": {"l": ["2024-01-01 10:00"]}}, {"m": good["m"]}):
        lab.file("b.json", json.dumps({"id": 3, **part}) + "\n")
        with pytest.raises(SourceUnreadable, match="has a value that is not a"):
            rows(lab, "*.json", "json", schema)
        assert rows(lab, "*.json", "json", schema, mode="DROPMALFORMED") == wanted


@pytest.mark.slow
def test_a_date_format_of_the_spec_is_what_dates_are_read_by(lab: Lab) -> None:
    lab.file("a.csv", "id,d\n1,31.01.2024\n")
    schema = {"id": "int", "d": "date"}
    assert rows(lab, "a.csv", "csv", schema, header=True, dateFormat="dd.MM.yyyy") == [(1, date(2024, 1, 31))]
    lab.file("a.csv", "id,d\n1,2024-01-31 10:00:00\n")
    assert rows(lab, "a.csv", "csv", None, header=True)[0][1].hour == 10  # of a type that was found, nothing is cut


@pytest.mark.slow
def test_long_decimals_and_json_numbers_keep_all_their_digits(lab: Lab) -> None:
    digits = "12345678901234567890.123456789012345678"
    lab.file("a.json", f'{{"v": {digits}}}\n{{"v": "{digits}"}}\n')
    lab.file("b.json", f'[\n{{"v":\n {digits}}}]\n')
    assert rows(lab, "*.json", "json", {"v": "decimal(38,18)"}) == [(Decimal(digits),)] * 3
    assert rows(lab, "*.json", "json", {"v": "decimal(38,18)"}, multiLine=True) == [(Decimal(digits),)] * 3
