"""Following rows of a database by a column: what reaches the database, and where a sink continues."""

from __future__ import annotations

import pytest
import sqlglot

from drls_dagster.connections.databases import DATABASES, Database
from drls_dagster.lakehouse.column_positions import ColumnPosition, Kind, Order, ends_behind, position_from
from drls_dagster.lakehouse.positions import PositionLost
from drls_dagster.steps.sources.jdbc.following import Followed, narrowed
from drls_dagster.steps.sources.jdbc.values import value_in
from lifecycle.spec.sqltree import exp

HOSTILE = 'id" = 1) q; DROP TABLE t; --` ] \' "'
BY_ID = Order("id", "number", "t")
DECIDE = "decide with `drls table reset-position`"


def at(value: str, order: Order | None = BY_ID, rows: int | None = 1) -> ColumnPosition:
    return ColumnPosition(value, order, rows)


@pytest.mark.parametrize("database", DATABASES.values(), ids=lambda one: one.name)
def test_a_column_of_any_name_is_one_name_in_the_query(database: Database) -> None:
    order = Order(HOSTILE, "number", "t")
    text = narrowed("t", Followed("n", "i", order, None), database, (at("1", order), at("9", order)))
    (tree,) = sqlglot.parse(f"SELECT * FROM {text}", read=database.dialect)
    assert tree is not None
    assert {one.name for one in tree.find_all(exp.Column)} == {HOSTILE}
    assert [one.sql() for one in tree.find_all(exp.Literal)] == ["1", "9"]


def test_rows_lie_between_the_positions_and_there_are_none_without_an_end() -> None:
    followed = Followed("n", "i", BY_ID, None)
    database = DATABASES["postgresql"]
    assert narrowed("t", followed, database, (at("1"), at("2"))).endswith('WHERE "id" > 1 AND "id" <= 2) drls_rows')
    assert narrowed("t", followed, database, (None, at("2"))).endswith('WHERE "id" <= 2) drls_rows')
    assert narrowed("t", followed, database, (None, None)).endswith("WHERE 1 = 0) drls_rows")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("number", "-9007199254740993", "-9007199254740993"),
        ("number", "12345678901234567890.0060000000", "12345678901234567890.0060000000"),
        ("date", "2024-02-29", "CAST('2024-02-29' AS DATE)"),
        ("timestamp", "2024-02-29 01:02:03.000004", "CAST('2024-02-29 01:02:03.000004' AS TIMESTAMP)"),
        ("timestamp_ntz", "2024-02-29 01:02:03", "CAST('2024-02-29 01:02:03.000000' AS TIMESTAMP)"),
    ],
)
def test_a_value_reaches_the_database_as_it_is(kind: Kind, value: str, text: str) -> None:
    assert value_in(DATABASES["postgresql"], kind, value) == text


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", "1 OR 1=1"), ("number", "2024-02-29"), ("number", "1e3"), ("number", "NaN"), ("number", "1-1"),
        ("date", "7"), ("date", "2024-02-30"), ("date", "2024-02-29 01:02:03"), ("timestamp", "'"),
        ("timestamp", "2024-02-29 25:00:00"), ("timestamp_ntz", "2024-02-29 01:02:03'; --"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_the_column_never_reaches_the_database(kind: Kind, value: str) -> None:
    with pytest.raises(ValueError, match=r"^(?!$)"):
        value_in(DATABASES["postgresql"], kind, value)


def test_a_position_is_read_back_from_its_text() -> None:
    for one in (at("7"), at("2024-02-29", Order(HOSTILE, "date", ""), 3), ColumnPosition("7")):
        assert position_from(one.text) == one


def test_d4_a_sink_continues_behind_what_it_has_read_also_where_a_person_decided_that() -> None:
    assert ends_behind(at("7"), at("9"), BY_ID, "shop/orders", DECIDE) == (at("7"), at("9"))
    decided = ends_behind(ColumnPosition("7"), at("9"), BY_ID, "shop/orders", DECIDE)
    assert decided == (at("7", rows=None), at("9"))
    assert ends_behind(at("7"), None, BY_ID, "shop/orders", DECIDE) == (at("7"), at("7"))
    assert ends_behind(at("7"), at("7", rows=2), BY_ID, "shop/orders", DECIDE) == (at("7"), at("7", rows=2))


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (at("10"), BY_ID, "'id' of shop/orders ends at 9, and the sink has read it up to 10"),
        (at("7"), Order("at", "number", "t"), "by the column 'id', and not by 'at'"),
        (at("7"), Order("id", "number", "u"), "by the table 't', and not by 'u'"),
        (at("7"), Order("id", "number", ""), "by the table 't', and not by 'query'"),
        (at("7"), Order("id", "date", "t"), "up to 7, which is no date"),
        (ColumnPosition("2024-01-01"), BY_ID, "up to 2024-01-01, which is no number"),
    ],
)
def test_d4_a_position_that_says_nothing_of_the_source_stops_the_run(
    was: ColumnPosition, now: Order, told: str
) -> None:
    with pytest.raises(PositionLost) as lost:
        ends_behind(was, ColumnPosition("9", now, 1), now, "shop/orders", DECIDE)
    assert told in str(lost.value)
    assert str(lost.value).endswith(f"; {DECIDE}")


def test_numbers_are_compared_as_numbers() -> None:
    start, end = ends_behind(at("9"), at("10"), BY_ID, "shop/orders", DECIDE)
    assert (start.value, end.value) == ("9", "10")
