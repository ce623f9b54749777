"""Finding 14: the audit log vouches for every row; what it does not vouch for is listed with the reason."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from sqlalchemy import text

import lifecycle
from lifecycle.audit import SigningKey
from lifecycle.store.engine import open_engine
from lifecycle.store.governed import NOT_GOVERNED, digest_of, governed_columns, governed_tables
from lifecycle.store.store import Store
from lifecycle.store.tables import Base
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import QA, SETUP, UAT, Life
from tests.lifecycle.store.test_migrations import of_revision

HINT = (
    "Every column is governed unless lifecycle/store/governed.py lists it in NOT_GOVERNED with a reason. "
    "Write it through Tx, and it is: its row is named in the audit entry. List it only when it changes without one."
)


def test_every_table_and_column_is_governed_or_listed_with_a_reason() -> None:
    known = {table.name for table in Base.metadata.tables.values()}
    columns = {f"{table.name}.{column.name}" for table in Base.metadata.tables.values() for column in table.columns}
    governed = {f"{table.name}.{column.name}" for table in governed_tables() for column in governed_columns(table)}
    listed = {name for name in columns if name in NOT_GOVERNED or name.partition(".")[0] in NOT_GOVERNED}
    assert set(NOT_GOVERNED) <= known | columns, f"NOT_GOVERNED names what is not there. {HINT}"
    assert governed | listed == columns, HINT
    assert governed & listed == set(), HINT
    assert all(NOT_GOVERNED.values()), HINT
    unaudited = {table.name for table in Base.metadata.tables.values() if not table.info.get("audited", True)}
    assert unaudited <= set(NOT_GOVERNED), HINT
    # What decides who may do what is never listed.
    for name in ("person", "access_grant", "membership", "team", "token", "decision", "promotion", "policy", "setting"):
        assert not [one for one in NOT_GOVERNED if one.partition(".")[0] == name], name


def test_every_governed_table_has_a_key_that_names_its_rows() -> None:
    assert [table.name for table in governed_tables() if not table.primary_key.columns] == []


def test_nothing_writes_rows_but_the_transaction_that_names_them() -> None:
    """A write past Tx would be found later as if somebody had edited the database."""
    root = Path(lifecycle.__file__).parent
    allowed = {"store/tx.py", "store/store.py"}
    found: list[str] = []
    for file in root.rglob("*.py"):
        name = file.relative_to(root).as_posix()
        if name in allowed or "/migrations/" in name:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "execute":
                statement = ast.unparse(node)
                if re.search(r"\b(insert|update|delete)\b", statement, re.IGNORECASE):
                    found.append(f"{name}:{node.lineno}")
    assert found == [], HINT


def test_a_digest_is_of_the_values_and_not_of_how_a_database_gives_them() -> None:
    at = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    other = at.astimezone(timezone(timedelta(hours=5, minutes=30)))
    row = {"id": 1, "at": at, "spec": {"b": [2**63 - 1, None], "a": "ü\u2028\ud800"}, "gone": None}
    digest = digest_of("thing", row)
    assert digest == digest_of("thing", {**row, "at": other})
    assert digest == digest_of("thing", {**row, "at": at.replace(tzinfo=None)})
    assert digest == digest_of("thing", {name: row[name] for name in ("spec", "at", "id")})
    assert digest == digest_of("thing", {**row, "added_by_a_later_drls": None})
    for name, value in (("id", 2), ("at", at + timedelta(microseconds=1)), ("spec", {"a": "ü"}), ("gone", "")):
        assert digest != digest_of("thing", {**row, name: value})
    assert digest != digest_of("other", row)
    assert digest_of("outbox", {"id": 1, "state": "pending"}) == digest_of("outbox", {"id": 1, "state": "given_up"})


def test_every_row_of_a_life_is_as_the_log_left_it(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.approve(life.ask(version, UAT))
    with life.store.read() as view:
        checked = view.log.check_rows()
    assert checked.findings == ()
    assert checked.rows > 20


def test_a_row_that_changes_twice_is_named_by_the_last_entry_that_changed_it(store: Store) -> None:
    with store.write(SETUP, "setup") as unit:
        unit.settings.put("one", {"n": 1})
        unit.audit("one.set", "setting:one")
        unit.settings.put("two", {"n": 1})
        unit.audit("two.set", "setting:two")
        unit.settings.put("one", {"n": 2})
    with store.read() as view:
        named = [(entry.verb, list(entry.rows)) for entry in view.log.entries()]
        assert view.log.check_rows().findings == ()
    assert named == [("one.set", []), ("two.set", ["setting:one", "setting:two"])]


def test_what_was_rolled_back_is_named_by_no_entry(store: Store) -> None:
    try:
        with store.write(SETUP, "setup") as unit:
            unit.settings.put("one", {"n": 1})
            unit.audit("one.set", "setting:one")
            raise KeyError("stop")
    except KeyError:
        pass
    with store.read() as view:
        assert view.log.check_rows().rows == 0
        assert list(view.log.entries()) == []


def test_an_older_store_gets_a_baseline_and_is_vouched_for_from_then_on(
    empty_url: str, signing_key: SigningKey, clock: FakeClock
) -> None:
    """Failed on 0.1.0: nothing was."""
    older_store(empty_url, signing_key)
    store = Store.create(empty_url, signing_key, clock)
    with store.read() as view:
        (entry,) = view.log.entries()
        checked = view.log.check_rows()
    assert (entry.verb, entry.body["from"], entry.body["rows"]) == ("store.upgraded", "0002", 2)
    assert set(entry.rows) == {"person:1", "team:7"}
    assert (checked.rows, checked.findings) == (2, ())
    edit(store, "UPDATE person SET kind = 'service'")
    with store.read() as view:
        (found,) = view.log.check_rows().findings
    assert found.message.startswith("person 1 was changed outside DRLS: it is not what entry 1 (store.upgraded by")
    store.close()
    # Once more changes nothing: what was edited is not taken for good.
    Store.create(empty_url, signing_key, clock).close()
    again = Store.open(empty_url, signing_key, clock)
    with again.read() as view:
        assert view.log.check_rows().findings == (found,)
        assert len(list(view.log.entries())) == 1
    again.close()


def test_an_upgrade_says_what_it_changed_and_does_not_whitewash_an_edit(
    empty_url: str, signing_key: SigningKey, clock: FakeClock
) -> None:
    """A later migration that rewrites, drops and adds columns; one row was edited before it."""
    from lifecycle.store.baseline import Before

    store = Store.create(empty_url, signing_key, clock)
    with store.write(SETUP, "setup") as unit:
        for name in ("core", "data", "ops"):
            unit.people.add_team(name)
            unit.audit("team.added", f"team:{name}")
    edit(store, "UPDATE team SET name = 'edited' WHERE id = 2")
    with store.engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        before = Before(connection)
        connection.execute(text("UPDATE team SET name = upper(name)"))
        connection.execute(text("DELETE FROM team WHERE id = 3"))
        say(store, connection, before)
    with store.read() as view:
        last = list(view.log.entries())[-1]
        findings = view.log.check_rows().findings
    assert before.strange == {"team:2"}
    assert set(last.rows) == {"team:1", "team:3"}
    assert last.rows["team:3"][1] is None
    assert last.body["unexplained"] == 1
    assert [one.message.split(" outside")[0] for one in findings] == ["team 2 was changed"]
    store.close()


def older_store(url: str, key: SigningKey) -> None:
    """A store as DRLS 0.1.0 made it, with two rows and no entry."""
    from lifecycle.audit.chain import genesis

    engine = of_revision(url, "0002")
    at = "2026-01-01 00:00:00"
    head = key.sign(genesis("older"))
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        connection.execute(
            text(
                "INSERT INTO person (id, name, kind, display_name, email_verified, access_epoch, created_at) "
                f"VALUES (1, 'ada', 'human', 'Ada', '1', 1, '{at}')"
            )
        )
        connection.execute(text(f"INSERT INTO team (id, name, created_at) VALUES (7, 'core', '{at}')"))
        connection.execute(
            text("INSERT INTO audit_head VALUES (1, :log, :sequence, :hash, :key_id, :signature)"), dict(head)
        )
    engine.dispose()


def edit(store: Store, statement: str) -> None:
    engine = open_engine(store.engine.url.render_as_string(hide_password=False))
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        connection.execute(text(statement))
    engine.dispose()


def say(store: Store, connection: object, before: object) -> None:
    """What Store.create does after the migrations."""
    head = store._head(connection)
    store._append(connection, head, store._clock.now(), SETUP.audited, list(before.events(connection, "next")))
