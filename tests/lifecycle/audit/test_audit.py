"""What the offline verifier finds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lifecycle.audit import Entry, Event, Head, SigningKey, chain, genesis, load_signing_key, verify
from lifecycle.audit.verify import Harm
from lifecycle.errors import StoreError

KEY = SigningKey.generate()
KEYS = {KEY.key_id: KEY.public}
AT = datetime(2026, 1, 1, tzinfo=UTC)


def log(count: int, name: str = "log", word: str = "happened") -> tuple[list[Entry], Head]:
    events = [Event(verb=word, subject=f"pipeline:{n}", body={"n": n}) for n in range(count)]
    entries = list(chain(genesis(name), AT, {"name": "ada"}, events))
    return entries, head_of(entries, name)


def head_of(entries: list[Entry], name: str = "log", key: SigningKey = KEY) -> Head:
    return key.sign(Head(log=name, sequence=entries[-1].sequence, hash=entries[-1].hash, key_id="", signature=""))


def harms(entries: list[Entry], head: Head, *anchors: Head) -> set[Harm]:
    return {finding.harm for finding in verify(entries, head, KEYS, anchors).findings}


def chained_again(entries: list[Entry], name: str = "log") -> list[Entry]:
    events = [Event(verb=entry.verb, subject=entry.subject, body=entry.body) for entry in entries]
    return list(chain(genesis(name), AT, {"name": "ada"}, events))


def changed(entry: Entry, **values: Any) -> Entry:
    return entry.model_copy(update=values)


def test_a_whole_log_has_no_findings() -> None:
    entries, head = log(5)
    verdict = verify(entries, head, KEYS, [head_of(entries[:3])])
    assert verdict.whole
    assert verdict.entries == 5


@pytest.mark.parametrize("field", ["verb", "subject", "body", "actor", "at"])
def test_an_edit_of_any_field_is_found(field: str) -> None:
    entries, head = log(5)
    other: dict[str, Any] = {
        "body": {"n": 99},
        "actor": {"name": "eve"},
        "at": datetime(2027, 1, 1, tzinfo=UTC),
    }
    entries[2] = changed(entries[2], **{field: other.get(field, "other")})
    assert harms(entries, head) == {Harm.EDITED}


def test_a_deletion_in_the_middle_is_found() -> None:
    entries, head = log(5)
    del entries[2]
    assert Harm.MISSING in harms(entries, head)


def test_a_deletion_at_the_end_is_found() -> None:
    entries, head = log(5)
    assert harms(entries[:3], head) == {Harm.TAIL}


def test_a_deletion_at_the_end_with_an_old_head_is_found_by_an_anchor() -> None:
    entries, head = log(5)
    assert Harm.TAIL in harms(entries[:3], head_of(entries[:3]), head)


def test_reordered_entries_are_found() -> None:
    entries, head = log(5)
    entries[1], entries[3] = entries[3], entries[1]
    assert Harm.REORDERED in harms(entries, head)


def test_a_log_chained_again_after_an_edit_is_found() -> None:
    entries, head = log(5)
    entries[2] = changed(entries[2], body={"n": 99})
    again = chained_again(entries)
    assert harms(again, head) == {Harm.HEAD}
    assert harms(again, head_of(again, key=SigningKey.generate())) == {Harm.HEAD}


def test_a_fork_is_found_inside_one_file_and_against_an_anchor() -> None:
    entries, head = log(5)
    fork, fork_head = log(5, word="happened otherwise")
    assert Harm.FORKED in harms([*entries, fork[-1]], head)
    assert harms(fork, fork_head, head_of(entries[:3])) == {Harm.FORKED}


def test_another_log_in_its_place_is_found_by_an_anchor() -> None:
    _, head = log(5)
    other, other_head = log(5, name="other")
    assert harms(other, other_head, head) == {Harm.FORKED}


def test_entries_past_the_head_are_found() -> None:
    entries, _ = log(5)
    assert harms(entries, head_of(entries[:4])) == {Harm.HEAD}


def test_a_key_that_nobody_trusts_is_found() -> None:
    entries, _ = log(5)
    head = head_of(entries, key=SigningKey.generate())
    assert harms(entries, head) == {Harm.HEAD}


def test_a1_the_signing_key_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "home" / "secret"
    key = load_signing_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_signing_key(file).public == key.public
    file.chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        load_signing_key(file)
