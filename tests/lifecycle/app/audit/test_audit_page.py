"""The audit page: what happened, whether it is whole, and taking it away."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from lifecycle.app.audit.chain_state import AGAIN, AT_ONCE, ChainWatch
from lifecycle.audit import Entry, Event, Head, chain, verify
from lifecycle.audit.keys import SigningKey
from lifecycle.audit.verify import Harm
from lifecycle.domain.people import Actor, WayIn
from lifecycle.store.repositories.audit_log import AuditLog
from lifecycle.store.tables_people import AuditRow
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import SETUP, Life

Open = Callable[[str | None], Visit]
SCRIPT = "<script>alert(1)</script>"


def happen(life: Life, count: int, verb: str = "thing.happened", **body: object) -> None:
    with life.store.write(SETUP, "happen") as unit:
        for number in range(count):
            unit.audit(verb, f"thing:{number}", **body)


def tamper(life: Life, statement: str) -> None:
    """What somebody does who owns the database file: the triggers that refuse it go first."""
    with life.store.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    file = life.store.engine.url.database
    assert file is not None
    with sqlite3.connect(file) as raw:
        for trigger in triggers:
            raw.execute(f"DROP TRIGGER {trigger}")
        raw.execute(statement)
    raw.close()


def watch_of(admin: Visit) -> ChainWatch:
    watch: ChainWatch = admin.client.app.pages.state.parts.of(ChainWatch)  # type: ignore[attr-defined]
    return watch


def test_only_an_admin_of_everything_reads_it(visit: Open, life: Life) -> None:
    assert visit("lea").get("/audit").status_code == 403
    life.add_person("half", None)
    with life.store.write(SETUP, "grant") as unit:
        unit.people.add_grant(
            person_id=life.person("half"), team_id=None, role="Admin", scope="pipeline", scope_value="flights",
            granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", "grant:9")
    half = visit("half")
    for path in ("/audit", "/audit/chain", "/audit/export", "/audit/log", "/audit/anchor"):
        assert half.get(path).status_code == 403, path
    assert half.post("/audit/rescan").status_code == 403


def test_newest_first_filtered_and_paged(visit: Open, life: Life) -> None:
    adam = visit("adam")
    happen(life, 150)
    first = adam.page("/audit?verb=thing.")
    assert first.index("thing:149") < first.index("thing:148")
    assert "thing:49<" not in first
    older = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = adam.page(older)
    assert "thing:49<" in second
    assert "thing:50<" not in second
    assert "Newest</a>" in second
    assert "thing:7<" in adam.page("/audit?subject=thing:7")
    assert "thing:8<" not in adam.page("/audit?subject=thing:7")
    assert "thing:148<" in adam.page("/audit?subject=thing:&who=setup&way_in=system")
    assert "No entry matches" in adam.page("/audit?subject=thing:&way_in=web")
    assert "No entry matches" in adam.page("/audit?subject=thing:&who=ada")


def test_days_are_whole_ones(visit: Open, life: Life) -> None:
    adam = visit("adam")
    happen(life, 1)
    today = life.clock.now().date().isoformat()
    assert "thing:0<" in adam.page(f"/audit?verb=thing.&from={today}&to={today}")
    assert "No entry matches" in adam.page("/audit?verb=thing.&to=2020-01-01")
    assert "No entry matches" in adam.page("/audit?verb=thing.&from=2099-01-01")
    for wrong in ("yesterday", "2026-13-01", "9999-12-31"):
        answer = adam.get(f"/audit?to={wrong}")
        assert answer.status_code in (200, 422), wrong
    assert "is not a date" in adam.get("/audit?from=yesterday").text
    assert "is not a date" in adam.get("/audit?to=9999-12-31").text


def test_nothing_in_an_entry_is_markup(visit: Open, life: Life) -> None:
    adam = visit("adam")
    actor = Actor(person=None, name=SCRIPT, way_in=WayIn.DAGSTER, host=SCRIPT, os_user=SCRIPT)
    with life.store.write(actor, "happen") as unit:
        unit.audit(f"thing.{SCRIPT}", f"person:{SCRIPT}", reason=SCRIPT, deep={"<b>": ['"><img src=x>', None]})
    page = adam.page("/audit")
    assert SCRIPT not in page
    assert "<img src=x" not in page
    assert 'href="/settings/people/%3Cscript' in page
    reflected = adam.page(f"/audit?subject={SCRIPT}&verb={SCRIPT}&who={SCRIPT}&way_in={SCRIPT}")
    assert SCRIPT not in reflected


def test_a_whole_chain_is_verified_and_new_rows_with_it(visit: Open, life: Life) -> None:
    adam = visit("adam")
    with life.store.read() as view:
        upto = view.log.head().sequence
    assert f"verified</span> up to entry {upto}" in adam.page("/audit")
    happen(life, 2)
    assert f"verified</span> up to entry {upto + 2}" in adam.page("/audit/chain")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audit SET subject = 'person:eve' WHERE sequence = 3", "row 3</strong>: entry 3 was edited"),
        ("DELETE FROM audit WHERE sequence = 4", "row 4</strong>: entries 4 to 4 are missing"),
        ("UPDATE audit_head SET signature = replace(signature, 'a', 'b')", "head</strong>: the head has a wrong"),
        ("UPDATE audit_head SET key_id = 'other'", "head</strong>: the head is signed by the unknown key"),
    ],
)
def test_a_broken_chain_says_where(visit: Open, life: Life, statement: str, told: str) -> None:
    adam = visit("adam")
    tamper(life, statement)
    page = adam.page("/audit/chain")
    assert "broken" in page
    assert told in page


EDIT = "UPDATE audit SET subject = 'person:eve' WHERE sequence = 3"
CUT = "DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)"


@pytest.mark.parametrize(
    ("statement", "told"), [(EDIT, "row 3</strong>: entry 3 was edited"), (CUT, "are missing at the end")]
)
def test_what_is_done_to_a_short_log_that_was_read_is_found_at_the_next_look(
    visit: Open, life: Life, statement: str, told: str
) -> None:
    adam = visit("adam")
    assert "verified" in adam.page("/audit/chain")
    tamper(life, statement)
    assert told in adam.page("/audit")


def test_an_edit_in_a_long_log_is_found_by_scanning_again(visit: Open, life: Life) -> None:
    happen(life, 2 * AT_ONCE)
    adam = visit("adam")
    watch = watch_of(adam)
    adam.page("/audit")
    assert watch.wait(60)
    assert "verified" in adam.page("/audit/chain")
    tamper(life, EDIT)
    assert "verified" in adam.page("/audit/chain")
    assert adam.post("/audit/rescan").headers["location"] == "/audit"
    adam.page("/audit/chain")
    assert watch.wait(60)
    assert "row 3</strong>: entry 3 was edited" in adam.page("/audit/chain")


def test_a_long_log_is_read_again_now_and_then_and_what_is_known_stays_shown(life: Life) -> None:
    happen(life, 2 * AT_ONCE)
    watch = ChainWatch(life.store)
    watch.state()
    assert watch.wait(60)
    first = watch.state()
    tamper(life, EDIT)
    life.clock.advance(seconds=AGAIN.total_seconds() + 1)
    assert watch.state() == first
    assert watch.wait(60)
    second = watch.state()
    assert [one.message for one in second.findings] == ["entry 3 was edited"]
    assert first.read_at is not None
    assert second.read_at is not None
    assert second.read_at - first.read_at > AGAIN


def test_a_tail_that_was_cut_off_a_long_log_is_found_at_the_next_look(life: Life) -> None:
    happen(life, 2 * AT_ONCE)
    watch = ChainWatch(life.store)
    watch.state()
    assert watch.wait(60)
    assert watch.state().whole
    tamper(life, CUT)
    assert watch.state().running
    assert watch.wait(60)
    assert "missing at the end" in watch.state().findings[0].message


def test_a_long_log_is_read_beside_the_page(life: Life) -> None:
    happen(life, 3 * AT_ONCE)
    watch = ChainWatch(life.store)
    assert watch.state().running
    assert watch.wait(30)
    state = watch.state()
    assert state.whole
    assert state.upto == state.total >= 3 * AT_ONCE


def test_the_page_of_a_long_log_does_not_read_it_again(
    visit: Open, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the chain was followed, a page follows what is new, whatever is asked for."""
    happen(life, 2 * AT_ONCE)
    adam = visit("adam")
    watch = watch_of(adam)
    adam.page("/audit")
    assert watch.wait(60)
    read: list[Entry] = []
    whole = AuditLog.entries

    def counted(log: AuditLog, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
        for entry in whole(log, after, limit):
            read.append(entry)
            yield entry

    monkeypatch.setattr(AuditLog, "entries", counted)
    for query in ("", "?verb=thing.", "?who=nobody", "?subject=thing:17", "?way_in=web"):
        assert "verified" in adam.page(f"/audit{query}")
    assert len(read) <= 10


def test_the_export_is_what_is_filtered(visit: Open, life: Life) -> None:
    adam = visit("adam")
    happen(life, 1_200)
    happen(life, 3, verb="other.happened")
    answer = adam.get("/audit/export?verb=thing.")
    assert answer.headers["content-disposition"].startswith('attachment; filename="drls-audit-')
    lines = [Entry.model_validate_json(line) for line in answer.text.splitlines()]
    assert len(lines) == 1_200
    assert {one.verb for one in lines} == {"thing.happened"}
    assert len({one.sequence for one in lines}) == 1_200


def test_the_whole_log_and_the_anchor_are_what_the_command_line_checks(
    visit: Open, life: Life, tmp_path: Path, signing_key: SigningKey
) -> None:
    adam = visit("adam")
    happen(life, 1_100)
    file = tmp_path / "log.jsonl"
    file.write_text(adam.get("/audit/log").text)
    first, *rest = file.read_text().splitlines()
    head = Head.model_validate(json.loads(first)["head"])
    anchor = json.loads(adam.get("/audit/anchor").text)
    keys = {signing_key.key_id: anchor["key"]}
    entries = [Entry.model_validate_json(line) for line in rest]
    assert len(entries) == head.sequence
    assert verify(entries, head, keys, [Head.model_validate(anchor["head"])]).whole
    assert not verify(entries[:-1], head, keys).whole


def test_a_chain_that_was_replaced_is_read_from_its_start(life: Life) -> None:
    """Another log in the same database: as after a restore."""
    watch = ChainWatch(life.store)
    assert watch.state().whole
    with life.store.read() as view:
        head = view.log.head()
    other = life.store.signing_key.sign(Head(log="other", sequence=0, hash="", key_id="", signature=""))
    entries = chain(
        other.model_copy(update={"hash": _start("other")}),
        life.clock.now(),
        {"name": "x"},
        [Event(verb="a.b", subject="c:d")],
    )
    tamper(life, "DELETE FROM audit")
    with life.store.engine.begin() as connection:
        connection.execute(insert(AuditRow), [entry.model_dump() for entry in entries])
    signed = life.store.signing_key.sign(
        head.model_copy(update={"log": "other", "sequence": 1, "hash": entries[0].hash})
    )
    tamper(
        life,
        f"UPDATE audit_head SET log = 'other', sequence = 1, hash = '{signed.hash}', signature = '{signed.signature}'",
    )
    state = watch.state()
    assert state.upto == 1
    # The log is another one; the rows that were there before are in none of its entries.
    assert {one.harm for one in state.findings} == {Harm.ROW_ADDED}


def _start(log: str) -> str:
    from lifecycle.audit import genesis

    return genesis(log).hash


def test_a_row_edited_past_the_log_is_named_on_the_page(visit: Open, life: Life) -> None:
    """Finding 14; on 0.1.0 the page said verified."""
    adam = visit("adam")
    assert "rows match their entries" in adam.page("/audit")
    tamper(life, "UPDATE access_grant SET role = 'Admin' WHERE id = 1")
    page = adam.page("/audit")
    assert "data</strong>: access_grant 1 was changed outside DRLS: it is not what entry" in page


def test_rows_behind_a_long_log_are_compared_when_it_is_read(life: Life) -> None:
    """Finding 14."""
    happen(life, 2 * AT_ONCE)
    watch = ChainWatch(life.store)
    watch.state()
    assert watch.wait(60)
    assert watch.state().rows > 10
    tamper(life, "DELETE FROM access_grant WHERE id = 6")
    life.save()
    watch.rescan()
    watch.state()
    assert watch.wait(60)
    assert ["access_grant 6 was removed" in one.message for one in watch.state().findings] == [True]


def test_many_rows_of_a_short_log_are_compared_beside_the_page(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 14: what an upgrade says about a large store is one entry with many rows."""
    monkeypatch.setattr("lifecycle.app.audit.chain_state.ROWS_AT_ONCE", 3)
    watch = ChainWatch(life.store)
    assert watch.state().running
    assert watch.wait(60)
    state = watch.state()
    assert state.whole
    assert state.rows > 3
    tamper(life, "DELETE FROM access_grant WHERE id = 1")
    life.clock.advance(seconds=AGAIN.total_seconds() + 1)
    watch.state()
    assert watch.wait(60)
    assert len(watch.state().findings) == 1
