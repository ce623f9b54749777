"""Finding 14: what is changed in the database outside DRLS is found, by table, key and who wrote it last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, insert, text

from lifecycle.audit import Event, SigningKey, chain, genesis, verify
from lifecycle.audit.verify import Finding, Harm
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.store.rows import current_digests
from lifecycle.store.store import Store
from lifecycle.store.tables_people import AuditRow
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.tokens import issue
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import QA, SETUP, UAT, Life, make_spec


def attack(life: Life, *statements: str) -> None:
    """As somebody with the database's password, or the file: what refuses changes is switched off."""
    with life.store.engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        switch_off(connection)
        for statement in statements:
            connection.execute(text(statement))


def switch_off(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        return
    for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
        connection.execute(text(f"DROP TRIGGER {name}"))
    connection.execute(text("PRAGMA defer_foreign_keys = ON"))


def findings(life: Life, store: Store | None = None) -> list[Finding]:
    """What `drls audit verify` finds."""
    key = (store or life.store).signing_key
    with life.store.read() as view:
        verdict = verify(view.log.entries(), view.log.head(), {key.key_id: key.public})
        return [*verdict.findings, *view.log.check_rows().findings]


@pytest.fixture
def lived(life: Life) -> Iterator[Life]:
    """A version that was approved into UAT, with a rejected one, a token, a team and a comment."""
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.approve(life.ask(version, UAT))
    with life.store.write(SETUP, "setup") as unit:
        person = unit.people.get(life.person("ada"))
        issue(unit, person, TokenKind.PERSONAL, "ci", scopes=(TokenScope.READ,), life=timedelta(days=1))
        team = unit.people.add_team("core")
        unit.people.set_member(team.id, life.person("ada"), member=True)
        unit.settings.put("receivers", {"receivers": []})
        unit.audit("team.added", "team:core")
    assert findings(life) == []
    return life


NEW_GRANT = (
    "INSERT INTO access_grant (person_id, role, scope, scope_value, granted_at)"
    " VALUES (1, 'Admin', 'everything', '', '2026-01-01 00:00:00')"
)
NEW_PERSON = (
    "INSERT INTO person (name, kind, display_name, email_verified, access_epoch, created_at)"
    " VALUES ('mallory', 'human', 'Mallory', '1', 1, '2026-01-01 00:00:00')"
)
ATTACKS = {
    "a grant's role": ("UPDATE access_grant SET role = 'Admin' WHERE id = 1", "access_grant 1 was changed"),
    "a grant's scope": ("UPDATE access_grant SET scope = 'everything', scope_value = 'x' WHERE id = 2", "access_grant 2"),
    "a new grant": (
        NEW_GRANT,
        "was added outside DRLS: no entry names it",
    ),
    "a grant that is gone": ("DELETE FROM access_grant WHERE id = 3", "access_grant 3 was removed outside DRLS"),
    "who decided": ("UPDATE decision SET person = 4, identity = 'person:4' WHERE id = 1", "decision 1 was changed"),
    "a verdict": ("UPDATE decision SET verdict = 'reject'", "decision 1 was changed"),
    "a decision that is gone": ("DELETE FROM decision", "decision 1 was removed"),
    "a promotion's state": ("UPDATE promotion SET state = 'rejected' WHERE id = 2", "promotion 2 was changed"),
    "who requested": ("UPDATE promotion SET requested_by = 6 WHERE id = 2", "promotion 2 was changed"),
    "a plan": ("UPDATE promotion SET plan = '{}' WHERE id = 2", "promotion 2 was changed"),
    "an account's kind": ("UPDATE person SET kind = 'human', acts_for = NULL WHERE name = 'bot'", "person 7 was changed"),
    "an account's address": ("UPDATE person SET email = 'ada@example.org' WHERE name = 'eve'", "person 2 was changed"),
    "a password": ("UPDATE person SET password_hash = 'x' WHERE name = 'adam'", "person 5 was changed"),
    "a new account": (
        NEW_PERSON,
        "was added outside DRLS",
    ),
    "a policy": ("UPDATE policy SET body = '{\"approvals\": \"solo\"}' WHERE id = 2", "policy 2 was changed"),
    "a policy that is gone": ("DELETE FROM policy WHERE id = 2", "policy 2 was removed"),
    "a token's hash": ("UPDATE token SET secret_hash = 'stolen'", "token 1 was changed"),
    "a token's scopes": ("UPDATE token SET scopes = '[\"admin\"]'", "token 1 was changed"),
    "a token's end": ("UPDATE token SET expires_at = '2099-01-01 00:00:00'", "token 1 was changed"),
    "a member": ("DELETE FROM membership", "membership 1 was removed"),
    "a setting": ("UPDATE setting SET value = '{}' WHERE name = 'receivers'", "setting receivers was changed"),
    "a deployment": ("UPDATE deployment SET ended_at = '2026-01-01 00:00:00' WHERE id = 1", "deployment 1 was changed"),
    "a spec": ("UPDATE version SET spec = '{}'", "version 1 was changed"),
    "an author": ("UPDATE saved SET person = 2", "saved 1 was changed"),
    "a receipt": ("UPDATE receipt SET snapshot = 9223372036854775807 WHERE id = 1", "receipt 1 was changed"),
    "an admission's outcome": ("UPDATE admission SET outcome = 'succeeded'", "admission 1 was changed"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_row_that_was_changed_past_drls_is_found(lived: Life, kind: str) -> None:
    """Failed on 0.1.0 for each: `audit verify` said whole, `db check` said sound."""
    statement, message = ATTACKS[kind]
    attack(lived, statement)
    found = findings(lived)
    assert len(found) == 1, found
    assert message in found[0].message
    if found[0].harm is not Harm.ROW_ADDED:
        assert f"entry {found[0].sequence} (" in found[0].message
        assert " by " in found[0].message
    # What DRLS writes next changes nothing about it.
    lived.add_person("zoe", None)
    assert [one.message for one in findings(lived)] == [one.message for one in found]


SPELLINGS = {
    "basic": "replace(substr(started_at, 1, 10), '-', '') || substr(started_at, 11)",
    "with a T": "replace(started_at, ' ', 'T')",
    "without its fraction": "substr(started_at, 1, 19)",
    "with a zone": "started_at || '+00:00'",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_time_that_is_only_spelled_in_another_way_is_found(lived: Life, spelling: str) -> None:
    """SQLite compares times as text: so edited, a deployment began at another time for SQL than for Python."""
    if lived.store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps times as times")
    attack(lived, f"UPDATE deployment SET started_at = {spelling} WHERE id = 1")
    assert [one.message for one in findings(lived) if "deployment 1 was changed" in one.message]


def test_a_yes_that_is_no_one_is_found(lived: Life) -> None:
    """SQLite takes 2 for true where Python reads it, and for neither where SQL compares it with 1."""
    if lived.store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has a type of its own")
    attack(lived, "UPDATE person SET email_verified = 2 WHERE id = (SELECT min(id) FROM person WHERE email_verified)")
    assert [one.message for one in findings(lived) if one.harm is Harm.ROW_CHANGED]


@pytest.mark.parametrize(
    "attacked",
    ["UPDATE promotion SET requested_by = 6 WHERE id = 3", "UPDATE promotion SET reason = 'as agreed' WHERE id = 3"],
)
def test_a_later_write_to_the_same_row_does_not_cover_an_edit_up(lived: Life, attacked: str) -> None:
    """Failed on 0.1.0; the whole row is written again when DRLS moves it on."""
    asked = lived.ask(lived.save(make_spec(rows=2)), QA)
    assert asked.id == 3
    attack(lived, attacked)
    execute_promotion(lived.ctx, lived.as_("ada"), asked.id)
    (found,) = findings(lived)
    assert found.message.startswith("promotion 3 was changed outside DRLS between entry ")
    assert "(promotion.requested by ada, " in found.message
    lived.add_person("zoe", None)
    assert findings(lived) == [found]


def test_a_setting_that_was_removed_and_is_written_again_is_found(lived: Life) -> None:
    """Failed on 0.1.0."""
    attack(lived, "DELETE FROM setting WHERE name = 'receivers'")
    with lived.store.write(SETUP, "setup") as unit:
        unit.settings.put("receivers", {"receivers": []})
        unit.audit("receivers.set", "setting:receivers")
    (found,) = findings(lived)
    assert found.message.startswith("setting receivers was changed outside DRLS between entry ")


def test_two_rows_that_changed_places_are_found(lived: Life) -> None:
    """Failed on 0.1.0."""
    attack(
        lived,
        "UPDATE access_grant SET role = CASE id WHEN 1 THEN 'Admin' ELSE 'DataEngineer' END WHERE id IN (1, 5)",
    )
    assert [one.message.split(" was ")[0] for one in findings(lived)] == ["access_grant 1", "access_grant 5"]


def test_a_row_that_was_put_back_to_what_it_once_was_is_found(lived: Life) -> None:
    """A revoked grant given back, as it was before. Failed on 0.1.0."""
    with lived.store.write(SETUP, "setup") as unit:
        unit.people.revoke_grant(unit.people.grant(3))
        unit.audit("grant.revoked", "grant:3")
    assert findings(lived) == []
    attack(lived, "UPDATE access_grant SET revoked_at = NULL WHERE id = 3")
    assert ["access_grant 3 was changed" in one.message for one in findings(lived)] == [True]


def test_a_removed_row_that_is_there_again_is_found(lived: Life) -> None:
    """Failed on 0.1.0."""
    with lived.store.write(SETUP, "setup") as unit:
        unit.people.set_member(1, lived.person("ada"), member=False)
        unit.audit("team.left", "team:core")
    assert findings(lived) == []
    attack(lived, "INSERT INTO membership (id, team_id, person_id) VALUES (1, 1, 1)")
    (found,) = findings(lived)
    assert "membership 1 was added again outside DRLS" in found.message


def test_a_value_that_cannot_be_read_is_a_finding_and_no_failure(lived: Life) -> None:
    """Failed on 0.1.0."""
    if lived.store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL takes no value of another type")
    attack(lived, "UPDATE person SET created_at = 'no time' WHERE id = 3", "UPDATE token SET scopes = '{' WHERE id = 1")
    assert {one.message.split(" was ")[0] for one in findings(lived)} == {"person 3", "token 1"}


def test_digests_that_were_edited_to_fit_are_found(lived: Life) -> None:
    """The row and the digest in its entry: the entry's hash covers the digest."""
    attack(lived, "UPDATE access_grant SET role = 'Admin' WHERE id = 1")
    with lived.store.engine.connect() as connection:
        digest = dict(current_digests(connection))["access_grant:1"]
        rows = connection.execute(text("SELECT sequence, rows FROM audit WHERE rows IS NOT NULL")).all()
    for sequence, given in rows:
        named = json.loads(given) if isinstance(given, str) else given
        if named and "access_grant:1" in named:
            named["access_grant:1"][1] = digest
            attack(lived, f"UPDATE audit SET rows = '{json.dumps(named)}' WHERE sequence = {sequence}")
    assert {one.harm for one in findings(lived)} == {Harm.EDITED}


@pytest.mark.parametrize("rows", ["NULL", "'{}'"])
def test_an_entry_that_no_longer_names_its_rows_is_found(lived: Life, rows: str) -> None:
    attack(lived, f"UPDATE audit SET rows = {rows} WHERE verb = 'person.added'")
    harms = {one.harm for one in findings(lived)}
    assert {Harm.EDITED, Harm.ROW_ADDED} <= harms


def test_a_log_chained_again_without_the_key_stays_an_error_after_the_next_write(lived: Life) -> None:
    """Rows and log rewritten, the head signed with a key of one's own. On 0.1.0 the next write made it whole."""
    forger = SigningKey.generate()
    resign(lived, forger)
    assert [one.harm for one in findings(lived)] == [Harm.HEAD]
    lived.add_person("zoe", None)
    found = findings(lived)
    assert [one.harm for one in found] == [Harm.HEAD]
    assert f"signed by the unknown key {forger.key_id[:12]}" in found[0].message
    lived.add_person("yan", None)
    assert findings(lived) == found


def test_a_head_with_a_wrong_signature_stays_an_error_after_the_next_write(lived: Life) -> None:
    """Failed on 0.1.0."""
    attack(lived, "UPDATE audit_head SET signature = '00'")
    lived.add_person("zoe", None)
    (found,) = findings(lived)
    assert "has a wrong signature" in found.message


def test_a_signing_key_that_was_swapped_stays_an_error_until_the_old_one_is_trusted(
    lived: Life,
    store_url: str,
    clock: FakeClock,
) -> None:
    """Failed on 0.1.0: the next write signed all of it with the new key."""
    old = lived.store.signing_key
    swapped = Store.open(store_url, SigningKey.generate(), clock)
    with swapped.write(SETUP, "setup") as unit:
        unit.people.add_team("other")
        unit.audit("team.added", "team:other")
    new = swapped.signing_key
    with swapped.read() as view:
        entries, head = list(view.log.entries()), view.log.head()
    swapped.close()
    (found,) = verify(entries, head, {new.key_id: new.public}).findings
    assert f"signed by the unknown key {old.key_id[:12]}" in found.message
    assert verify(entries, head, {new.key_id: new.public, old.key_id: old.public}).whole


def resign(life: Life, key: SigningKey) -> None:
    """Writes the whole log anew, with other actors, and signs it with `key`."""
    with life.store.read() as view:
        entries, head = list(view.log.entries()), view.log.head()
    events = [Event(verb=one.verb, subject=one.subject, body=one.body, rows=one.rows) for one in entries]
    forged = chain(genesis(head.log), entries[0].at, {"name": "lea"}, events)
    last = forged[-1]
    signed = key.sign(head.model_copy(update={"sequence": last.sequence, "hash": last.hash}))
    with life.store.engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        switch_off(connection)
        connection.execute(text("DELETE FROM audit"))
        connection.execute(insert(AuditRow.__table__), [dict(entry) for entry in forged])
        connection.execute(
            text("UPDATE audit_head SET hash = :hash, key_id = :key_id, signature = :signature"),
            {"hash": signed.hash, "key_id": signed.key_id, "signature": signed.signature},
        )
