"""D3: a ref that moves while a run writes. D14: other commits on the table at the same time."""

from __future__ import annotations

import pytest
from lab import Lab, files, iceberg, on, sink, sql

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs

TWO = [(1, "run"), (2, "run")]


def from_file(lab: Lab, mode: str, **more: object) -> str:
    lab.file("a.csv", "id,name\n1,run\n2,run\n")
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long", name="string"),
        sql("clean", "SELECT * FROM raw"),
        sink("out", lab.named("out"), mode, **more),
        flow="raw>clean>out",
    )


def publishes(lab: Lab, table: str) -> int:
    """How many snapshots of `main` a run has written."""
    found = lab.table(table)
    return sum(1 for one in refs.ancestors(found, refs.head(found, "main")) if refs.summary(one).get("drls.root_run"))


@pytest.mark.parametrize(
    ("mode", "more", "expected"),
    [
        ("append", {"repeat": True}, [(1, "run"), (1, "run"), (2, "run"), (2, "run"), (9, "other")]),
        ("overwrite", {}, TWO),
        ("overwrite_partitions", {"partition_by": ["id"]}, [*TWO, (9, "other")]),
        ("merge", {"keys": ["id"]}, [*TWO, (9, "other")]),
    ],
)
def test_d3_a_ref_that_moves_while_a_run_writes_is_written_again_from_the_new_head(
    lab: Lab, mode: str, more: dict[str, object], expected: list[tuple[int, str]]
) -> None:
    text = from_file(lab, mode, **more)
    lab.prepare(text).sink("out")
    assert lab.rows("out") == TWO
    stages: list[str] = []
    moves = on("written", lambda: lab.append("out", (9, "other")))

    def hook(stage: str) -> None:
        stages.append(stage)
        moves(stage)

    done = lab.prepare(text).sink("out", hook)

    assert stages == ["branched", "written", "audited", "branched", "written", "audited", "published"]
    assert lab.rows("out") == expected
    assert not done.repeated
    assert publishes(lab, "out") == 2
    assert lab.branches("out") == []
    assert lab.ledger.branches(".".join(lab.identifier("out"))) == []


def test_d3_an_insert_only_merge_is_not_applied_twice_when_the_ref_moves_after_the_audit(lab: Lab) -> None:
    text = from_file(lab, "merge", keys=["id"])
    lab.prepare(text).sink("out")
    lab.file("a.csv", "id,name\n3,new\n4,new\n")  # no row matches: this merge only inserts
    lab.prepare(text).sink("out", on("audited", lambda: lab.append("out", (3, "other"))))
    assert lab.rows("out") == [*TWO, (3, "new"), (4, "new")]
    assert lab.branches("out") == []


def test_d3_an_incremental_append_takes_its_new_rows_exactly_once_when_the_ref_moves(lab: Lab) -> None:
    lab.create("src", id="long", name="string")
    lab.append("src", (1, "a"))
    text = lab.pipeline(iceberg("raw", lab.named("src"), "incremental"), sink("out", lab.named("out")), flow="raw>out")
    lab.prepare(text).sink("out")
    lab.append("src", (2, "b"))

    def both_move() -> None:
        lab.append("out", (9, "other"))
        lab.append("src", (3, "c"))

    lab.prepare(text).sink("out", on("audited", both_move))  # pinned again: row 3 is read too
    assert lab.rows("out") == [(1, "a"), (2, "b"), (3, "c"), (9, "other")]
    lab.prepare(text).sink("out")
    assert lab.rows("out") == [(1, "a"), (2, "b"), (3, "c"), (9, "other")]


def test_d3_a_ref_that_moves_each_time_fails_after_the_fourth_try_and_publishes_nothing(lab: Lab) -> None:
    text = from_file(lab, "overwrite")
    lab.prepare(text).sink("out")
    stages: list[str] = []
    moves = on("audited", lambda: lab.append("out", (9, "other")), times=99)

    def hook(stage: str) -> None:
        stages.append(stage)
        moves(stage)

    with pytest.raises(
        DrlsError, match=r"'main' of .*\.out moved during each of 4 attempts; find out what else writes"
    ):
        lab.prepare(text).sink("out", hook)
    assert stages.count("written") == 4
    assert "published" not in stages
    assert lab.rows("out") == [*TWO, *[(9, "other")] * 4]
    assert lab.branches("out") == []


def test_d3_a_rollback_of_the_table_while_a_run_writes_is_noticed_too(lab: Lab) -> None:
    text = from_file(lab, "append", repeat=True)
    lab.prepare(text).sink("out")
    first = refs.head(lab.table("out"), "main")
    lab.append("out", (9, "wrong"))

    name = ".".join(lab.identifier("out"))
    call = f"CALL {lab.settings.catalog.name}.system.rollback_to_snapshot('{name}', {first})"
    lab.prepare(text).sink("out", on("written", lambda: lab.sql(call)))
    assert lab.rows("out") == sorted(TWO * 2)


def test_d14_commits_on_other_refs_during_a_run_do_not_make_it_start_again(lab: Lab) -> None:
    text = from_file(lab, "overwrite")
    lab.prepare(text).sink("out")
    stages: list[str] = []

    def hook(stage: str) -> None:
        stages.append(stage)
        table = lab.table("out")
        head = refs.head(table, "main")
        assert head is not None
        refs.create_branch(lab.catalog, table, f"somebody_{stage}", head)
        with lab.table("out").transaction() as change:
            change.set_properties({"somebody": stage})

    lab.prepare(text).sink("out", hook)
    assert stages == ["branched", "written", "audited", "published"]
    assert lab.rows("out") == TWO
    assert lab.branches("out") == [f"somebody_{stage}" for stage in sorted(stages)]
