"""D4: a plan says where each incremental read would go on, and what it would read."""

from __future__ import annotations

import json

import pytest

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.position_reset import reset_elsewhere, reset_position
from drls_dagster.lakehouse.positions import POSITIONS, SOURCES
from drls_dagster.lakehouse.tables import find_table
from lifecycle.domain.plan import PositionPlan
from lifecycle.spec import PipelineSpec
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import PRODUCTION, UAT

RAW, DAILY = "flights_raw.flights", "flights.daily"


def spec_text(mode: str = "append", read: str = "incremental") -> str:
    sink = {"id": "sink", "type": "sink", "table": DAILY, "mode": mode, "keys": ["id"] if mode == "merge" else None}
    keys = ["id"] if read == "changes" else None
    nodes = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": RAW, "read": read, "keys": keys}},
        {"id": "other", "type": "source", "source": {"kind": "files", "format": "csv", "path": "x.csv"}},
        {"id": "step", "type": "transform", "step": "spark", "sql": "SELECT * FROM raw, other"},
        sink,
    ]
    edges = [("raw", "step"), ("other", "step"), ("step", "sink")]
    data = {
        "format_version": 1,
        "name": "flights",
        "nodes": nodes,
        "edges": [{"from": a, "to": b} for a, b in edges],
    }
    return PipelineSpec.model_validate(data).model_dump_json(by_alias=True)


def has_read(lake: LakePlane, position: int, ref: str = "main") -> int:
    """A publish of the sink that stands at a snapshot of its source."""
    uuid = str(lake.lake_table(RAW).metadata.table_uuid)
    told = {POSITIONS: json.dumps({uuid: position}), SOURCES: json.dumps({RAW: uuid})}
    return lake.commit(DAILY, ref, **told)


def standing(lake: LakePlane, text: str, source=PRODUCTION, target=PRODUCTION) -> PositionPlan:
    (found,) = lake.positions(text, source, target)
    assert (found.table, found.source) == (DAILY, RAW)
    return found


def test_d4_a_sink_that_has_read_nothing_is_new_and_reads_everything(lake: LakePlane) -> None:
    lake.commit(RAW)
    lake.commit(RAW)
    for _ in range(2):
        found = standing(lake, spec_text())
        assert (found.state, found.position, found.rows) == ("new", None, 2)
        lake.make(DAILY)


def test_d4_a_sink_goes_on_from_where_its_newest_publish_stands(lake: LakePlane) -> None:
    first = lake.commit(RAW)
    has_read(lake, first)
    assert standing(lake, spec_text()).rows == 0
    lake.commit(RAW)
    lake.commit(RAW, operation="replace")
    lake.commit(RAW)
    found = standing(lake, spec_text())
    assert (found.state, found.position, found.rows) == ("continues", first, 2)


def test_d4_positions_come_along_with_the_data_of_a_carried_promotion(lake: LakePlane) -> None:
    first = lake.commit(RAW)
    has_read(lake, first)
    second = lake.commit(RAW)
    lake.open_session(UAT, [DAILY])
    has_read(lake, second, "uat")
    assert standing(lake, spec_text(), UAT, PRODUCTION).position == second
    assert standing(lake, spec_text(), PRODUCTION, PRODUCTION).position == first


def test_d4_what_a_person_decided_is_a_reset(lake: LakePlane) -> None:
    first = lake.commit(RAW)
    lake.commit(RAW)
    has_read(lake, first)
    reset_position(lake.catalog, find_table(lake.catalog, DAILY), find_table(lake.catalog, RAW), "start")
    found = standing(lake, spec_text())
    assert (found.state, found.position, found.rows) == ("reset", None, 2)
    has_read(lake, first)
    assert standing(lake, spec_text()).state == "continues"


@pytest.mark.parametrize(("mode", "state"), [("append", "lost"), ("merge", "continues")])
def test_d4_d5_a_source_that_was_rolled_back_is_lost_to_an_append_and_read_again_by_a_merge(
    lake: LakePlane, mode: str, state: str
) -> None:
    first = lake.commit(RAW)
    second = lake.commit(RAW)
    has_read(lake, second)
    table = lake.lake_table(RAW)
    from drls_dagster.lakehouse import refs

    lake._commit(RAW, [], [refs.set_branch(table, "main", first)])
    lake.commit(RAW)
    found = standing(lake, spec_text(mode))
    assert (found.state, found.position) == (state, second)
    assert found.rows == (1 if state == "continues" else None)


def test_d4_d5_changes_go_on_over_every_commit_and_after_a_rollback(lake: LakePlane) -> None:
    first = lake.commit(RAW)
    has_read(lake, first)
    lake.commit(RAW)
    lake.commit(RAW, operation="replace")
    changes = spec_text("merge", "changes")
    assert (standing(lake, changes).state, standing(lake, changes).rows) == ("continues", 1)
    lake.commit(RAW, operation="overwrite")
    found = standing(lake, changes)
    assert (found.state, found.position, found.rows) == ("continues", first, None)  # how many, only reading tells
    assert standing(lake, spec_text("merge")).state == "lost"


def test_d4_d5_changes_are_lost_where_their_position_has_expired_or_the_source_was_made_anew(lake: LakePlane) -> None:
    first = lake.commit(RAW)
    has_read(lake, first)
    lake.commit(RAW)
    lake.expire(RAW, [first])
    assert standing(lake, spec_text("merge", "changes")).state == "lost"
    lake.catalog.drop_table(RAW)
    lake.commit(RAW)
    assert standing(lake, spec_text("merge", "changes")).state == "lost"
    assert standing(lake, spec_text("merge")).state == "new"


def test_d4_an_expired_history_of_the_sink_that_says_nothing_any_more_is_lost(lake: LakePlane) -> None:
    lake.commit(RAW)
    first = lake.commit(DAILY)
    second = lake.commit(DAILY)
    lake.expire(DAILY, [first])
    for entry in lake.lake_table(DAILY).metadata.metadata_log:
        lake.lake_table(DAILY).io.delete(entry.metadata_file)
    assert lake.head(DAILY, "main") == second
    assert standing(lake, spec_text()).state == "lost"


def test_d4_sources_that_are_read_whole_have_no_position(lake: LakePlane) -> None:
    lake.commit(RAW)
    assert lake.positions(spec_text("overwrite", "full"), PRODUCTION, PRODUCTION) == ()


def test_d4_a_source_that_is_not_there_yet_is_new(lake: LakePlane) -> None:
    assert standing(lake, spec_text()) == PositionPlan(table=DAILY, source=RAW, state="new")


def following(**source: str) -> str:
    """A pipeline that follows rows of a database."""
    node = {"id": "raw", "type": "source", "source": {"kind": "jdbc", "connection": "shop", **source}}
    sink = {"id": "sink", "type": "sink", "table": DAILY, "mode": "append"}
    data = {"format_version": 1, "name": "flights", "nodes": [node, sink], "edges": [{"from": "raw", "to": "sink"}]}
    return PipelineSpec.model_validate(data).model_dump_json(by_alias=True)


def test_d4_rows_of_a_database_are_new_continue_and_are_reset_by_a_value(lake: LakePlane) -> None:
    text, name, key = following(table="orders", incremental_column="id"), "shop/raw@0123abcd", "jdbc:0123abcd/raw"

    def state() -> str:
        (found,) = lake.positions(text, PRODUCTION, PRODUCTION)
        assert (found.table, found.source) == (DAILY, "shop/raw")
        return found.state

    def reset(to: str, name: str = name) -> None:
        reset_elsewhere(lake.catalog, find_table(lake.catalog, DAILY), name, to)

    assert state() == "new"
    lake.commit(DAILY)
    assert state() == "new"
    with pytest.raises(UsageError, match="has read no topic and no rows of a database named"):
        reset("start")
    told = {POSITIONS: json.dumps({key: '{"value": "7"}'}), SOURCES: json.dumps({name: key})}
    lake.commit(DAILY, "main", **told)
    assert state() == "continues"
    for wrong in ("0=1", "7; DROP TABLE t", "head", "2024-1-1", ""):
        with pytest.raises(UsageError, match="is no value of a column; use start, or a number, a date or a timestamp"):
            reset(wrong)
    for to in ("-7.5", "2024-01-31", "2024-01-31 12:00:00.5", "start"):
        reset(to)
        assert state() == "reset"
        lake.commit(DAILY, "main", **told)
        assert state() == "continues"
    reset("7", "shop/raw@89abcdef")  # as a run says it whose connection leads elsewhere
    with pytest.raises(UsageError, match="has read no topic and no rows"):
        reset("7", "shop/other@0123abcd")
