"""Bad input to every verb of tables, over REST, the command line and Python: one clear line, and nothing changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import click
import httpx
import pyarrow as pa
import pytest

import drls_dagster as drls
from drls_dagster.cli.main import run
from drls_dagster.cli.maintain import maintain
from drls_dagster.cli.table import table as table_commands
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.settings import load_settings
from lifecycle.errors import LifecycleError
from lifecycle.verbs import evolution, maintenance, tables
from lifecycle.verbs.carrying import Place, places
from lifecycle.verbs.table import ROWS, Row
from lifecycle.verbs.verb import Verb
from tests.drls_dagster.lifecycle_client.conftest import World
from tests.iceberg_tables import make_table
from tests.lifecycle.app.sites import site_of

T = "lab.t"
LONG = "x" * 501
NUL = "a\x00b"
# What only a library says, or a defect.
FOREIGN = re.compile(
    r"pyiceberg|pydantic|Traceback|NestedField|StructType|Type\(|case_sensitive|cannot be changed like this|"
    r"this is a bug|This is a bug|recursion|KeyError|<class|object at 0x",
    re.IGNORECASE,
)

# What each verb needs.
NEEDS: dict[Verb[..., Any], dict[str, Any]] = {
    tables.list_tables: {},
    tables.fleet: {},
    tables.query: {"sql": "SELECT id FROM lab.t"},
    **{
        verb: {"name": T}
        for verb in (
            tables.show, tables.schema, tables.history, tables.preview, tables.statistics, tables.files,
            tables.changes, tables.health, tables.health_history, evolution.diff, maintenance.compact,
            maintenance.manifests, maintenance.expire, maintenance.orphans, maintenance.vacuum, maintenance.policy,
        )
    },
    maintenance.plan: {"kind": "compact", "name": T},
    maintenance.list_operations: {},
    maintenance.show: {"operation_id": 1},
    maintenance.cancel: {"operation_id": 1},
    evolution.plan: {"name": T, "change": {"kind": "drop_column", "column": "name"}},
    evolution.add_column: {"name": T, "column": "a", "type": "int"},
    evolution.rename_column: {"name": T, "column": "name", "to": "called"},
    evolution.drop_column: {"name": T, "column": "name"},
    evolution.move_column: {"name": T, "column": "name", "first": True},
    evolution.alter_type: {"name": T, "column": "small", "type": "long"},
    evolution.set_nullable: {"name": T, "column": "id", "nullable": False},
    evolution.set_doc: {"name": T, "column": "id", "doc": "x"},
    evolution.add_partition: {"name": T, "fields": ["id"]},
    evolution.drop_partition: {"name": T, "fields": ["id"]},
    evolution.replace_partition: {"name": T, "field": "id", "by": "bucket(4, id)"},
    evolution.set_sort_order: {"name": T, "sort_by": ["id"]},
    evolution.rollback: {"name": T, "to": "main"},
    evolution.set_ref: {"name": T, "ref": "b", "type": "branch"},
    evolution.drop_ref: {"name": T, "ref": "b"},
    evolution.fast_forward: {"name": T, "ref": "main", "to": "main"},
}  # fmt: skip

NAMES = (
    "lab.nope", "nope", "lab.T", "lab..t", 'lab."t', "lab.t; DROP TABLE lab.t", "lab.t' OR '1'='1", "../../etc/passwd",
    "lab.t\nlab.t", LONG, NUL,
)  # fmt: skip
FIELDS = ("nope", "id); DROP TABLE lab.t", "bucket(0, id)", "day(id)", "tags", "truncate(99999999999, name)", LONG)
PLACES = ("nope", "1", "", "x" * 201, "main' --")
COUNT = (0, -1, "x", 10**9)
NOT_ONE = ("perhaps",)

# By parameter, what is bad for each verb that has it; `verb.parameter` says it for one.
BAD: dict[str, tuple[Any, ...]] = {
    "name": NAMES,
    "maintenance.list_operations.table": (NUL, LONG),
    "environment": ("nowhere", "", "qa' --"),
    "ref": ("nope", "x" * 201, NUL, "main' --"),
    "evolution.set_ref.ref": ("", "a b", "7", "main", "qa", "drls-release-1", "x" * 201, NUL),
    "snapshot": (1, -1, 2**70, "x"),
    "since": (1, -1, 2**70, "x"),
    "until": (1, -1, 2**70, "x"),
    "before": (-1, "x"),
    "evolution.diff.before": PLACES,
    "evolution.diff.after": PLACES,
    "tables.health_history.before": ("yesterday", "x" * 201),
    "at": ("yesterday", "2026-01-01T00:00:00", "2001-01-01T00:00:00Z"),
    "column": ("nope", "", 'a"); DROP TABLE lab.t; --', "tags.nope", LONG, NUL),
    "evolution.add_column.column": ("", 'a"); DROP TABLE lab.t; --', "nope.a", "name.a", "id", "a\nb", LONG, NUL),
    "columns": (["nope"], [""], [LONG], ['id" FROM x; --']),
    "keys": (["nope"], [""], ["tags"]),
    "maintenance.compact.columns": (["id"], ["nope"], [LONG]),
    "type": ("nope", "", "long); DROP TABLE lab.t", "array<" * 200 + "int" + ">" * 200, "decimal(99,1)", "struct<>"),
    "to": PLACES,
    "evolution.rename_column.to": ("", "id", "a;b", 'a"b', LONG),
    "after": (-1, "x"),
    "tables.list_tables.after": (LONG, NUL),
    "tables.fleet.after": ("x" * 521, NUL),
    "evolution.add_column.after": ("nope", "", LONG),
    "evolution.move_column.after": ("nope", "id"),
    "fields": ([], *([one] for one in FIELDS)),
    "field": FIELDS,
    "by": FIELDS,
    "sort_by": (["nope"], ["id sideways"], ["id", "id desc"], ["day(id)"], ["tags"], [LONG]),
    "doc": (NUL, "x" * 3_000),
    "where": (
        "nope = 1", "id =", "id = 1; DROP TABLE lab.t", "1 = 1", "id = 'x'", "(SELECT 1)", "id\n=", "(" * 2_000,
        "x" * 10_001, "read_text('/etc/passwd') = 'x'", NUL,
    ),
    "target_bytes": (0, -1, 2**60, "many"),
    "min_files": (0, -1, "x"),
    "strategy": ("nope",),
    "retain_last": (0, -1, "x", 10**9),
    "older_than": ("yesterday", "2026-01-01T00:00:00"),
    "refs": (["nope"], [""], [LONG]),
    "older_than_hours": (-1, 10**9, "x"),
    "maintenance.plan.options": ({"nope": 1}, {"target_bytes": 0}, {"where": "nope = 1"}, {"columns": ["nope"]}, "x"),
    "maintenance.vacuum.options": ({"nope": 1}, {"expire": {"retain_last": 0}}, {"compact": {"where": "nope = 1"}}),
    "kind": ("nope", ""),
    "plan": ("sha256:nope", "x" * 101),
    "if_plan": ("sha256:nope", "x" * 101),
    "sql": (
        "DROP TABLE lab.t", "SELECT * FROM lab.nope", "SELECT 1; SELECT 2", "SELECT nope FROM lab.t", "SELECT", "",
        "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "INSERT INTO lab.t VALUES (1)", NUL,
    ),
    "change": ({"kind": "nope"}, {}, {"kind": "drop_column", "column": "nope"}, {"kind": "roll_back", "ref": "main"}),
    "operation_id": (0, 99, 2**60, "x"),
    "max_ref_age_ms": (0, -1, "x"),
    "min_snapshots": COUNT,
    "max_snapshot_age_ms": (0, -1, "x"),
    "limit": (0, -1, "x", 501),
    "rows": COUNT,
    "evolution.diff.rows": NOT_ONE,
    "most": COUNT,
    "most_bytes": (0, 10**12, "x"),
    "text": (0, 10**9, "x"),
    "seconds": (0, 10**9, "x"),
    "skip": (-1, "x"),
    "top": (-1, 51, "x"),
    "partitions": (-1, 10**9, "x"),
    "below": (-1, 102, "x"),
    "order": ("nope",),
    "engine": ("nope", "", "DuckDB"),
    "search": ("x" * 201, NUL),
    "namespace": ("x" * 201, NUL),
    "states": (["nope"],),
    "reason": (NUL, "x" * 10_001),
    "key": ("a b", "x" * 201),
    **dict.fromkeys(
        ("quick", "first", "nullable", "accept_untraced", "every_file", "dry_run", "again", "orphans"), NOT_ONE
    ),
}  # fmt: skip


class NothingStarts(TableMaintenance):
    """Plans are real; no operation may get as far as to be launched."""

    def launch(self, operation_id: int) -> None:
        raise AssertionError("an operation was launched")


@pytest.fixture
def made(world: World) -> World:
    world.life.ctx = replace(world.life.ctx, maintenance=NothingStarts(load_settings()))
    site_of(world.life.ctx)  # which the server that runs answers from, from now on
    make_lab()
    return world


def make_lab() -> None:
    rows = pa.table({"id": [1, 2], "small": pa.array([1, 2], pa.int32()), "name": ["a", "b"], "tags": [["x"], ["y"]]})
    make_table(T, rows, rows)


def in_turn(found: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    """The first and two others: of what nearly all verbs take, each tries some values, and together they try all."""
    others = found[1:]
    return (found[0], *(others[(2 * number + at) % len(others)] for at in range(2)))


def cases() -> Iterator[tuple[Row, str, Any]]:
    """Each verb that has to do with tables, each of its parameters, each bad value of that."""
    for number, row in enumerate(ROWS):
        if row.verb not in NEEDS:
            assert row.verb.noun not in ("tables", "maintenance", "evolution"), f"{row.verb.name}: what does it need?"
            continue
        for parameter in places(row):
            found = BAD.get(f"{row.verb.name}.{parameter}", BAD.get(parameter))
            assert found, f"{row.verb.name} has a parameter {parameter}: what is bad for it?"
            if found is NAMES:
                found = in_turn(found, number)
            yield from ((row, parameter, value) for value in found)


def sent(client: httpx.Client, row: Row, given: Mapping[str, Any]) -> httpx.Response:
    """The values as they are, each where the verb has it: nothing is looked at on this side."""
    url, query, headers, body = row.path, {}, {}, {}
    for name, one in places(row).items():
        if name in given:
            match one.place:
                case Place.PATH:
                    url = url.replace(f"{{{name}}}", quote(str(given[name]), safe=""))
                case Place.HEADER:
                    headers[one.name] = str(given[name])
                case Place.QUERY:
                    query[one.name] = given[name]
                case _:
                    body[one.name] = given[name]
    return client.request(row.method, url, params=query, headers=headers, json=body if body else None)


def wrong_with(answer: httpx.Response) -> str:
    """Empty for a refusal in one clear line."""
    if not 400 <= answer.status_code < 500:
        return f"{answer.status_code} {answer.text[:200]}"
    problem = answer.json()
    lines = [problem["detail"], *problem["errors"]]
    if any(not one.strip() or len(one.splitlines()) != 1 or len(one) > 700 for one in lines):
        return f"not one line each: {lines}"
    return f"a library's own words: {lines}" if FOREIGN.search(" ".join(lines)) else ""


def test_every_verb_of_tables_refuses_bad_input_over_rest(made: World) -> None:
    before = load_catalog().load_table(T).metadata_location
    audited = len(log(made))
    wrong: list[str] = []
    headers = {"Authorization": f"Bearer {made.token('lea')}"}
    with httpx.Client(base_url=made.url, headers=headers, timeout=280) as client:
        for row, parameter, value in cases():
            answer = sent(client, row, {**NEEDS[row.verb], parameter: value})
            if why := wrong_with(answer):
                wrong.append(f"{row.verb.name} {parameter}={str(value)[:60]!r}: {why}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert load_catalog().load_table(T).metadata_location == before
    assert open_ledger(load_settings()).operations() == []
    assert len(log(made)) == audited


def log(world: World) -> list[str]:
    with world.life.store.read() as view:
        return [one.verb for one in view.log.entries() if one.verb.startswith(("table.", "operation."))]


# By command, what it needs; and what is bad on a command line, by the name of an argument or option.
COMMANDS: dict[str, tuple[str, ...]] = {
    "add-column": (T, "a", "int"),
    "rename-column": (T, "name", "called"),
    "alter-type": (T, "small", "long"),
    "set-doc": (T, "id", "x"),
    "branch": (T, "b"),
    "tag": (T, "b"),
    "query": ("SELECT id FROM lab.t",),
    "reset-position": (T, T),
    "drop-column": (T, "name"),
    "move-column": (T, "name"),
    "set-nullable": (T, "id"),
    "show maintain": ("1",),
    "cancel": ("1",),
}
ALSO: dict[str, tuple[str, ...]] = {
    "move-column": ("--first",), "set-nullable": ("--required",), "partition": ("--add", "id"),
    "rollback": ("--to", "main"), "reset-position": ("--to", "start"),
}  # fmt: skip
TOLD: dict[str, tuple[str, ...]] = {
    "name": ("lab.nope", "nope", "", "lab..t", "lab.t; DROP TABLE lab.t", "lab.t\nlab.t", LONG),
    "sink": ("lab.nope", "nope", ""),
    "source": ("lab.nope", "nope", ""),
    "environment": ("nowhere", ""),
    "ref": ("nope", "main' --", "a\nb"),
    "branch ref": ("", "a b", "main", "qa", "drls-release-1", "a\nb"),
    "tag ref": ("", "a b", "main", "qa", "drls-release-1", "a\nb"),
    "snapshot": ("1", "-1", "x"),
    "since": ("1", "-1", "x"),
    "until": ("1", "-1", "x"),
    "before": ("nope", "1"),
    "after": ("nope",),
    "column": ("nope", "", 'a"); DROP TABLE lab.t; --', LONG),
    "add-column column": ("", 'a"); DROP TABLE lab.t; --', "nope.a", "id", LONG),
    "columns": ("nope", "", "tags.x"),
    "sort columns": ("nope", "id sideways", "day(id)"),
    "keys": ("nope", "tags"),
    "type_": ("nope", "", "long); DROP TABLE lab.t", "decimal(99,1)"),
    "to": ("nope", "1", ""),
    "rename-column to": ("", "id", "a;b"),
    "added": ("nope", "bucket(0, id)", "day(id)", ""),
    "dropped": ("nope", ""),
    "forward": ("nope", "1"),
    "at": ("yesterday", "2001-01-01"),
    "keep_for": ("soon", "0d", "-1d"),
    "snapshots_for": ("soon", "0d"),
    "min_snapshots": ("0", "x"),
    "sql": ("DROP TABLE lab.t", "SELECT * FROM lab.nope", "SELECT 1; SELECT 2", "SELECT", ""),
    "limit": ("0", "-1", "x"),
    "seconds": ("0", "x"),
    "top": ("-1", "x"),
    "order": ("nope",),
    "engine": ("nope", ""),
    "out": (),
    "below": ("-1", "x"),
    "strategy": ("nope",),
    "where": ("nope = 1", "id =", "id = 1; DROP TABLE lab.t", "id\n="),
    "target_size": ("0", "0MB", "-1", "many"),
    "min_files": ("0", "x"),
    "retain_last": ("0", "-1", "x"),
    "older_than": ("yesterday", "soon", "-1d"),
    "refs": ("nope",),
    "digest": ("sha256:nope",),
    "table": (),
    "states": ("nope",),
    "operation": ("0", "99", "x"),
    "namespace": (),
    "search": (),
    "doc": (),
    "reason": (),
    "key": (),
}


def command_lines() -> Iterator[tuple[str, ...]]:
    for group in (table_commands, maintain):
        for number, (name, command) in enumerate(group.commands.items()):
            own = f"{name} {group.name}"
            needs = COMMANDS.get(own, COMMANDS.get(name, (T,)))
            arguments = [one.name for one in command.params if isinstance(one, click.Argument)]
            if not arguments:
                needs = ()
            for one in command.params:
                if isinstance(one, click.Option) and one.is_flag:
                    continue
                assert one.name
                found = TOLD.get(f"{name} {one.name}", TOLD.get(one.name))
                assert found is not None, f"drls {group.name} {name} has {one.name}: what is bad for it?"
                if one.name == "name":
                    found = in_turn(found, number)
                for value in found:
                    if isinstance(one, click.Option):
                        also = tuple(ALSO.get(name, ())) if one.opts[0] not in ALSO.get(name, ()) else ()
                        yield (str(group.name), name, *needs, *also, f"{one.opts[-1]}={value}")
                    else:
                        at = arguments.index(one.name)
                        given = (*needs[:at], value, *needs[at + 1 :])
                        yield (str(group.name), name, *ALSO.get(name, ()), "--", *given)


@pytest.mark.slow
def test_every_command_of_tables_refuses_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    make_lab()
    assert run(["whoami"]) == 0
    before = load_catalog().load_table(T).metadata_location
    capsys.readouterr()
    wrong: list[str] = []
    for arguments in command_lines():
        code = run(arguments)
        out, err = capsys.readouterr()
        lines = err.splitlines()
        if code not in (1, 2) or out or len(lines) != 1 or len(err) > 1_000 or FOREIGN.search(err):
            wrong.append(f"{' '.join(arguments)[:150]!r}: {code} {out[:80]!r} {err[:300]!r}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert load_catalog().load_table(T).metadata_location == before
    assert open_ledger(load_settings()).operations() == []


def test_python_refuses_bad_input() -> None:
    make_lab()
    before = load_catalog().load_table(T).metadata_location
    found = drls.table(T)
    for act in (
        lambda: found.expire(retain_last=0),
        lambda: found.compact(target_bytes=0),
        lambda: found.compact(strategy="nope"),  # type: ignore[arg-type]
        lambda: found.compact(columns=["id"]),
        lambda: found.orphans(older_than_hours=float("nan")),
        lambda: found.orphans(older_than_hours=float("inf")),
        lambda: found.rollback("nope"),
        lambda: found.diff("nope"),
        lambda: found.at(ref="nope").preview(),
        lambda: found.preview(columns=["nope"]),
        lambda: drls.table("lab.nope").compact(),
        lambda: drls.table("lab.t\n").history(),
    ):
        with pytest.raises((LifecycleError, drls.UsageError)) as refused:
            act()
        assert len(str(refused.value).splitlines()) == 1
        assert not FOREIGN.search(str(refused.value))
    assert load_catalog().load_table(T).metadata_location == before


@pytest.mark.slow
def test_a_table_of_5000_columns_with_dots_and_spaces_in_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    name, parts = 'lab."a b.c"', ("lab", "a b.c")
    make_table(parts, *(pa.table({f"c{number}": [at] for number in range(5_000)}) for at in range(2)))
    found = drls.table(name)
    assert found.show().columns == 5_000
    assert found.schema(search="c4999").columns[0].name == "c4999"
    assert sorted(found.preview(columns=["c0", "c4999"]).rows) == [(0, 0), (1, 1)]
    assert found.health().data_file_count == 2
    for arguments in (
        ("table", "show", name, "--json"),
        ("table", "preview", name, "--limit", "1", "--json"),
        ("table", "add-column", name, "extra", "int", "--after", "c0"),
        ("maintain", "compact", name, "--all", "--min-files", "1", "--plan"),
        ("maintain", "vacuum", name, "--plan"),
    ):
        assert run(arguments) == 0, capsys.readouterr().err
    capsys.readouterr()
    for arguments in (
        ("table", "drop-column", name, "nope"),
        ("table", "changes", name, "--column", "nope"),
        ("table", "stats", name, "--column", "nope"),
        ("maintain", "compact", name, "--where", "nope = 1"),
        ("maintain", "compact", name, "--strategy", "sort", "--column", "nope"),
        ("table", "show", "lab.a b"),
    ):
        assert run(arguments) in (1, 2), arguments
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert len(err) < 400, err
