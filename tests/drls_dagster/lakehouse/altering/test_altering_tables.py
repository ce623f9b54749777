"""Columns, layout and refs changed by hand: each is one metadata commit, or nothing at all."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException

from drls_dagster.lakehouse.altering import IcebergEvolution
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import load_settings
from lifecycle.domain.evolution import (
    AddColumn,
    AlterPartitions,
    AlterType,
    Change,
    ChangeFacts,
    DropColumn,
    DropRef,
    FastForward,
    MoveColumn,
    RenameColumn,
    RollBack,
    SetDoc,
    SetNullable,
    SetRef,
    SetSortOrder,
)
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Conflict, Invalid, LifecycleError, NotFound, Refused
from tests.iceberg_tables import make_table

NAME = "lab.people"
ROWS = pa.table(
    {
        "id": pa.array([1, 2], pa.int32()),
        "score": pa.array([0.5, None], pa.float32()),
        "paid": pa.array([1, None], pa.decimal128(5, 2)),
        "name": ["ada", "eve"],
        "address": [{"city": "x", "zip": 1}, {"city": "y", "zip": 2}],
        "tags": pa.array([[{"k": "a"}], []], pa.list_(pa.struct([("k", pa.string())]))),
        "notes": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int32())),
    }
)


@pytest.fixture
def evolution() -> IcebergEvolution:
    return IcebergEvolution(load_settings())


@pytest.fixture
def people() -> str:
    make_table(NAME, ROWS)
    return NAME


def change(evolution: IcebergEvolution, what: Change, name: str = NAME) -> ChangeFacts:
    """Planned and made; one metadata file more if there was something to do, and none if not."""
    at = TableAt(name=name)
    before = load_catalog().load_table(name).metadata_location
    facts = evolution.plan(at, what)
    table = load_catalog().load_table(name)
    assert table.metadata_location == before, "a plan changes nothing"
    evolution.apply(at, what, facts)
    after = load_catalog().load_table(name)
    if facts.lines:
        assert after.metadata.metadata_log[-1].metadata_file == before, "one commit"
    else:
        assert after.metadata_location == before
    return facts


def column(name: str, table: str = NAME) -> Any:
    return load_catalog().load_table(table).schema().find_field(name)


def rows() -> list[dict[str, Any]]:
    return load_catalog().load_table(NAME).scan().to_arrow().to_pylist()


def test_columns_are_added_where_they_are_wanted(evolution: IcebergEvolution, people: str) -> None:
    facts = change(evolution, AddColumn(column="age", type="bigint", doc="in years", after="id"))
    assert facts.lines == ("add column age long, after id",)
    assert (str(column("age").field_type), column("age").optional, column("age").doc) == ("long", True, "in years")
    change(evolution, AddColumn(column="born", type="timestamp", first=True))
    change(evolution, AddColumn(column="all", type="struct<a:array<decimal(9,2)>,b:map<string,date>>"))
    names = [field.name for field in load_catalog().load_table(NAME).schema().fields]
    assert names == ["born", "id", "age", "score", "paid", "name", "address", "tags", "notes", "all"]
    assert str(column("born").field_type) == "timestamptz"
    assert [row["age"] for row in rows()] == [None, None]


def test_nested_fields_are_added_renamed_moved_and_dropped(evolution: IcebergEvolution, people: str) -> None:
    change(evolution, AddColumn(column="address.country", type="string", after="city"))
    change(evolution, AddColumn(column="tags.element.weight", type="float"))
    change(evolution, RenameColumn(column="address.zip", to="postcode"))
    change(evolution, MoveColumn(column="address.postcode", first=True))
    change(evolution, AlterType(column="notes.value", type="long"))
    change(evolution, DropColumn(column="address.city"))
    assert [field.name for field in column("address").field_type.fields] == ["postcode", "country"]
    assert rows()[0]["address"] == {"postcode": 1, "country": None}
    assert rows()[0]["tags"] == [{"k": "a", "weight": None}]


def test_a_change_that_is_already_there_commits_nothing(evolution: IcebergEvolution, people: str) -> None:
    for what in (
        AddColumn(column="age", type="long"),
        AlterType(column="id", type="long"),
        SetDoc(column="id", doc="the key"),
        MoveColumn(column="name", after="id"),
        AlterPartitions(add=("name",)),
        SetSortOrder(sort_by=("id desc",)),
        SetRef(ref="kept", type="tag", max_ref_age_ms=1000),
    ):
        assert change(evolution, what).lines, what
        assert not change(evolution, what).lines, what
    assert not change(evolution, RenameColumn(column="id", to="id")).lines
    assert not change(evolution, SetNullable(column="name", nullable=True)).lines


@pytest.mark.parametrize(("name", "wider"), [("id", "long"), ("score", "double"), ("paid", "decimal(9,2)")])
def test_types_become_wider(evolution: IcebergEvolution, people: str, name: str, wider: str) -> None:
    before = [row[name] for row in rows()]
    change(evolution, AlterType(column=name, type=wider))
    assert [row[name] for row in rows()] == before


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("id", "string"), ("score", "float"), ("score", "long"), ("paid", "decimal(9,3)"), ("paid", "decimal(4,2)"),
        ("name", "binary"), ("address", "string"), ("notes.key", "long"),
    ],
)  # fmt: skip
def test_no_other_change_of_a_type_is_made(evolution: IcebergEvolution, people: str, name: str, other: str) -> None:
    if (name, other) == ("score", "float"):
        assert not change(evolution, AlterType(column=name, type=other)).lines
        return
    with pytest.raises(Refused, match="cannot become"):
        change(evolution, AlterType(column=name, type=other))


def test_a_column_becomes_required_only_with_a_proof(evolution: IcebergEvolution, people: str) -> None:
    change(evolution, SetNullable(column="id", nullable=False))
    assert column("id").required
    change(evolution, SetNullable(column="id", nullable=True))
    assert column("id").optional
    with pytest.raises(Refused, match="has 1 nulls in it"):
        change(evolution, SetNullable(column="score", nullable=False))
    with pytest.raises(Refused, match="nested field"):
        change(evolution, SetNullable(column="address.zip", nullable=False))
    change(evolution, AddColumn(column="age", type="int"))
    with pytest.raises(Refused, match="does not have the column"):
        change(evolution, SetNullable(column="age", nullable=False))


def test_a_null_on_any_branch_or_tag_keeps_a_column_optional(evolution: IcebergEvolution, people: str) -> None:
    change(evolution, SetRef(ref="trial", type="branch"))
    row = {"id": None, "score": None, "paid": None, "name": "bob", "address": None, "tags": None, "notes": None}
    load_catalog().load_table(NAME).append(pa.Table.from_pylist([row], ROWS.schema), branch="trial")
    with pytest.raises(Refused, match="a file of 'trial' has 1 nulls"):
        change(evolution, SetNullable(column="id", nullable=False))


def test_a_write_between_proof_and_commit_is_noticed(evolution: IcebergEvolution, people: str) -> None:
    at, what = TableAt(name=NAME), SetNullable(column="id", nullable=False)
    facts = evolution.plan(at, what)
    row = {"id": None, "score": None, "paid": None, "name": "bob", "address": None, "tags": None, "notes": None}
    load_catalog().load_table(NAME).append(pa.Table.from_pylist([row], ROWS.schema))
    with pytest.raises(Refused, match="has 1 nulls"):
        evolution.apply(at, what, facts)
    assert column("id").optional


def test_layout_changes_in_the_words_of_a_plan(evolution: IcebergEvolution, people: str) -> None:
    added = change(evolution, AlterPartitions(add=("bucket(16, id)", "name")))
    assert added.lines == ('partitions: [] → ["bucket(16, id)", "name"]',)
    by_name = load_catalog().load_table(NAME).spec().fields[0].name
    replaced = change(evolution, AlterPartitions(drop=(by_name,), add=("truncate(2, name)",)))
    assert replaced.layout == ("name", "truncate(2, name)")
    change(evolution, AlterPartitions(drop=("name", "truncate(2, name)")))
    assert load_catalog().load_table(NAME).spec().is_unpartitioned()
    change(evolution, SetSortOrder(sort_by=("name", "id desc")))
    assert change(evolution, SetSortOrder(sort_by=())).layout == ()
    assert load_catalog().load_table(NAME).sort_order().is_unsorted


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        (AddColumn(column="name", type="int"), Invalid, "already a column name"),
        (AddColumn(column="NAME", type="int"), Invalid, "already a column name"),
        (AddColumn(column="x; DROP TABLE y", type="int"), Invalid, "cannot be the name"),
        (AddColumn(column="a`b", type="int"), Invalid, "cannot be the name"),
        (AddColumn(column='"a.b"', type="int"), Invalid, "cannot be the name"),
        (AddColumn(column="_file", type="int"), Invalid, "reserves"),
        (AddColumn(column="n", type="nonsense"), Invalid, "not a column type"),
        (AddColumn(column="n", type="struct<a:int,A:int>"), Invalid, "struct"),
        (AddColumn(column="nope.n", type="int"), NotFound, "no column 'nope'"),
        (AddColumn(column="name.n", type="int"), Invalid, "no fields of its own"),
        (AddColumn(column="n", type="int", after="address.zip"), Invalid, "not on the level"),
        (AddColumn(column="n", type="int", first=True, after="id"), Invalid, "say where"),
        (RenameColumn(column="nam", to="n"), NotFound, "did you mean name"),
        (RenameColumn(column="name", to="ID"), Invalid, "already a column id"),
        (RenameColumn(column="tags.element", to="n"), Refused, "as a whole"),
        (DropColumn(column="tags.element.k"), Refused, "the only field"),
        (MoveColumn(column="id", after="id"), Invalid, "behind itself"),
        (MoveColumn(column="id"), Invalid, "say where"),
        (AlterPartitions(add=("day(name)",)), Invalid, r"is string, which day\(name\) does not"),
        (AlterPartitions(add=("day(",)), Invalid, "not a partition field"),
        (AlterPartitions(add=("nope",)), NotFound, "no column 'nope'"),
        (AlterPartitions(drop=("id",)), NotFound, "not partitioned by 'id'"),
        (SetSortOrder(sort_by=("id", "id desc")), Invalid, "twice"),
        (SetSortOrder(sort_by=("nope",)), NotFound, "no column 'nope'"),
        (RollBack(to="7"), NotFound, "no snapshot 7"),
        (RollBack(to="nope"), NotFound, "no ref 'nope'"),
        (RollBack(ref="nope", to="main"), NotFound, "no branch 'nope'"),
        (RollBack(), Invalid, "say what"),
        (SetRef(ref="t", type="tag", min_snapshots=3), Invalid, "a tag keeps one snapshot"),
        (SetRef(ref="t", type="branch", to="99999999999999999999"), NotFound, "no ref"),
        (DropRef(ref="nope"), NotFound, "no ref 'nope'"),
        (FastForward(ref="nope", to="main"), NotFound, "no branch 'nope'"),
    ],
    ids=lambda one: one.kind if hasattr(one, "kind") else None,
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    evolution: IcebergEvolution, people: str, what: Change, error: type[LifecycleError], said: str
) -> None:
    before = load_catalog().load_table(NAME).metadata_location
    with pytest.raises(error, match=said) as refused:
        change(evolution, what)
    assert "\n" not in str(refused.value)
    assert load_catalog().load_table(NAME).metadata_location == before


def test_a_column_of_the_layout_stays(evolution: IcebergEvolution, people: str) -> None:
    change(evolution, AlterPartitions(add=("name",)))
    with pytest.raises(Refused, match="is partitioned by name; replace the partition field first"):
        change(evolution, DropColumn(column="name"))
    change(evolution, AlterPartitions(drop=("name",)))
    with pytest.raises(Refused, match="was partitioned by name"):
        change(evolution, DropColumn(column="name"))
    change(evolution, SetSortOrder(sort_by=("score",)))
    with pytest.raises(Refused, match="is sorted by score"):
        change(evolution, DropColumn(column="score"))


def test_the_last_column_stays(evolution: IcebergEvolution) -> None:
    make_table("lab.one", {"x": [1]})
    with pytest.raises(Refused, match="the only column"):
        change(evolution, DropColumn(column="x"), "lab.one")


def test_names_with_dots_and_spaces(evolution: IcebergEvolution) -> None:
    table = make_table(("lab", "two words.v1"), pa.table({"a.b": [1], "c d": [2]}))
    at = TableAt(name='lab."two words.v1"')
    for what in (RenameColumn(column="a.b", to="ab"), AddColumn(column="e f", type="int"), DropColumn(column="c d")):
        evolution.apply(at, what, evolution.plan(at, what))
    assert load_catalog().load_table(table.name()).schema().column_names == ["ab", "e f"]


@pytest.mark.slow
def test_a_table_of_5000_columns(evolution: IcebergEvolution) -> None:
    make_table("lab.wide", pa.table({f"c{number}": pa.array([], pa.int32()) for number in range(5_000)}))
    with pytest.raises(NotFound, match="did you mean c499") as refused:
        change(evolution, DropColumn(column="C4999x"), "lab.wide")
    assert len(str(refused.value)) < 300
    change(evolution, AddColumn(column="one_more", type="int", first=True), "lab.wide")
    assert column("one_more", "lab.wide").optional


def test_writers_meanwhile_lose_nothing(evolution: IcebergEvolution, people: str) -> None:
    """D14: appends and changes of the schema meet at every commit, and each of them gets through."""
    done: list[int] = []

    def append() -> None:
        for number in range(6):
            while True:
                try:
                    load_catalog().load_table(NAME).append(ROWS)
                except CommitFailedException:
                    continue
                done.append(number)
                break

    writer = threading.Thread(target=append)
    writer.start()
    for number in range(6):
        change_at_once(evolution, AddColumn(column=f"c{number}", type="int"))
    writer.join()
    assert len(rows()) == 2 * (1 + len(done))
    assert {f"c{number}" for number in range(6)} <= set(load_catalog().load_table(NAME).schema().column_names)


def change_at_once(evolution: IcebergEvolution, what: Change) -> None:
    evolution.apply(TableAt(name=NAME), what, evolution.plan(TableAt(name=NAME), what))


def test_a_plan_that_no_longer_holds_is_not_carried_out(evolution: IcebergEvolution, people: str) -> None:
    at, what = TableAt(name=NAME), RenameColumn(column="name", to="called")
    facts = evolution.plan(at, what)
    change(evolution, AlterPartitions(add=("name",)))
    evolution.apply(at, what, facts)  # the same in the table as it is now
    drop = DropColumn(column="score")
    planned = evolution.plan(at, drop)
    change(evolution, AlterType(column="score", type="double"))
    with pytest.raises(Conflict, match="changed meanwhile"):
        evolution.apply(at, drop, planned)


def history(name: str = NAME) -> list[int]:
    return [one.snapshot_id for one in load_catalog().load_table(name).metadata.snapshots]


def test_rolling_back_goes_to_ancestors_only(evolution: IcebergEvolution, people: str) -> None:
    table = load_catalog().load_table(NAME)
    table.append(ROWS)
    table.append(ROWS)
    first, second, third = history()
    change(evolution, SetRef(ref="side", type="branch", to=str(first)))
    load_catalog().load_table(NAME).append(ROWS, branch="side")
    aside = history()[-1]
    with pytest.raises(Refused, match="is not an ancestor of main"):
        change(evolution, RollBack(to=str(aside)))
    facts = change(evolution, RollBack(to=str(first)))
    assert (facts.base, facts.to, facts.undone) == (third, first, (third, second))
    assert len(rows()) == 2
    with pytest.raises(Refused, match="is not an ancestor of main"):
        change(evolution, RollBack(to=str(third)))  # what was undone is no ancestor; it is still there
    assert not change(evolution, RollBack(to=str(first))).lines
    with pytest.raises(Refused, match="is a tag, which never moves"):
        change(evolution, SetRef(ref="t", type="tag"))
        change(evolution, RollBack(ref="t", to=str(first)))


def test_rolling_back_to_a_time_finds_what_main_was(evolution: IcebergEvolution, people: str) -> None:
    from drls_dagster.lakehouse.tables import utc_time

    table = load_catalog().load_table(NAME)
    table.append(ROWS)
    first, _ = history()
    at = utc_time(table.snapshot_by_id(first).timestamp_ms)  # type: ignore[union-attr]
    assert change(evolution, RollBack(at=at)).to == first


def test_a_ref_that_moved_since_the_plan_is_left_alone(evolution: IcebergEvolution, people: str) -> None:
    load_catalog().load_table(NAME).append(ROWS)
    first, _ = history()
    at, what = TableAt(name=NAME), RollBack(to=str(first))
    facts = evolution.plan(at, what)
    load_catalog().load_table(NAME).append(ROWS)
    with pytest.raises(Conflict, match="changed meanwhile"):
        evolution.apply(at, what, facts)
    assert len(rows()) == 6


def test_branches_move_forward_to_descendants_only(evolution: IcebergEvolution, people: str) -> None:
    first = history()[0]
    change(evolution, SetRef(ref="trial", type="branch", min_snapshots=3, max_snapshot_age_ms=5000))
    load_catalog().load_table(NAME).append(ROWS, branch="trial")
    facts = change(evolution, FastForward(ref="main", to="trial"))
    assert (facts.base, facts.to) == (first, history()[-1])
    assert len(rows()) == 4
    load_catalog().load_table(NAME).append(ROWS)
    load_catalog().load_table(NAME).append(ROWS, branch="trial")
    with pytest.raises(Refused, match="does not descend from main"):
        change(evolution, FastForward(ref="main", to="trial"))


def test_refs_keep_what_they_were_made_with(evolution: IcebergEvolution, people: str) -> None:
    change(evolution, SetRef(ref="trial", type="branch", min_snapshots=3, max_ref_age_ms=9000))
    change(evolution, SetRef(ref="trial", type="branch", max_snapshot_age_ms=7000))
    ref = load_catalog().load_table(NAME).metadata.refs["trial"]
    assert (ref.min_snapshots_to_keep, ref.max_ref_age_ms, ref.max_snapshot_age_ms) == (3, 9000, 7000)
    load_catalog().load_table(NAME).append(ROWS)
    with pytest.raises(Conflict, match="is at snapshot"):
        change(evolution, SetRef(ref="trial", type="branch", to="main"))
    with pytest.raises(Conflict, match="has a branch trial"):
        change(evolution, SetRef(ref="trial", type="tag"))
    load_catalog().load_table(NAME).append(ROWS, branch="trial")
    assert change(evolution, DropRef(ref="trial")).warnings == (
        f"no other ref has snapshot {history()[-1]}: expiry may remove it from now on",
    )


def test_a_difference_of_snapshots_counts_columns_files_and_rows(evolution: IcebergEvolution, people: str) -> None:
    from pyiceberg.expressions import EqualTo

    change(evolution, AddColumn(column="age", type="int"))
    first = history()[0]
    more = ROWS.append_column("age", pa.array([1, 2], pa.int32()))
    load_catalog().load_table(NAME).append(more)
    load_catalog().load_table(NAME).delete(EqualTo("name", "ada"))
    found = evolution.difference(TableAt(name=NAME), str(first), "main")
    assert (found.relation, found.steps) == ("descendant", 2)
    assert [one.words for one in found.schema_changes] == ["column age int is new"]
    assert (found.added.files, found.added.rows, found.removed.files, found.removed.rows) == (2, 2, 1, 2)
    assert found.kept_files == 0
    back = evolution.difference(TableAt(name=NAME), "main", str(first))
    assert (back.relation, back.added, back.removed) == ("ancestor", found.removed, found.added)
    newest = evolution.difference(TableAt(name=NAME), None, None)
    assert (newest.before.snapshot, newest.after.snapshot) == (history()[-2], history()[-1])
    with pytest.raises(NotFound):
        evolution.difference(TableAt(name=NAME), "7", None)
