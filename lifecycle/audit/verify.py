"""Says what is wrong with a log, without the store that wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from pydantic import ValidationError

from lifecycle.audit.chain import UNKNOWN_HEAD, Entry, Head, genesis
from lifecycle.audit.keys import is_signed
from lifecycle.domain.model import Frozen


class Harm(StrEnum):
    """What was done to a log."""

    EDITED = "edited"
    MISSING = "missing"
    REORDERED = "reordered"
    BROKEN = "broken"
    TAIL = "tail"
    FORKED = "forked"
    HEAD = "head"
    ROW_CHANGED = "row_changed"
    ROW_ADDED = "row_added"
    ROW_REMOVED = "row_removed"


class Finding(Frozen):
    """One harm, at an entry (0 means the log as a whole), in words for people."""

    harm: Harm
    sequence: int
    message: str


class Verdict(Frozen):
    """`whole` says that every entry is where and what it was, as far as the head and anchors reach.

    `rows` counts the rows of the store that were compared with the log; an exported log is checked without any.
    """

    entries: int
    findings: tuple[Finding, ...]
    rows: int = 0

    @property
    def whole(self) -> bool:
        return not self.findings


class Check:
    """A check of one log that continues where it stopped: `take` the entries in order, then ask for the `verdict`.

    Constant memory. What was taken is not looked at again: an edit of an entry that was taken before is found by
    a new Check from the first entry on. `anchors` are heads of this log that were kept elsewhere.
    """

    def __init__(self, log: str, anchors: Sequence[Head] = ()) -> None:
        self.log = log
        self.entries = 0
        self.last = 0
        self._previous = genesis(log).hash
        self._anchors = tuple(anchors)
        self._wanted = {anchor.sequence: anchor for anchor in anchors if anchor.log == log}
        self._findings: list[Finding] = []
        self._strange: list[Entry] = []

    @property
    def last_hash(self) -> str:
        """The hash of the entry that was taken last; before the first, what the first one follows."""
        return self._previous

    def take(self, entry: Entry) -> None:
        """Checks the next entry against the ones before it."""
        self.entries += 1
        self._findings.extend(_check_entry(entry, self.log, self.last, self._previous))
        anchor = self._wanted.pop(entry.sequence, None)
        if anchor is not None and anchor.hash != entry.hash:
            rewritten = f"entry {entry.sequence} is not the anchored one: the log was rewritten or forked"
            self._findings.append(_found(Harm.FORKED, entry.sequence, rewritten))
        if entry.verb == UNKNOWN_HEAD:
            self._strange.append(entry)
        self.last, self._previous = entry.sequence, entry.hash

    def verdict(self, head: Head, keys: Mapping[str, str]) -> Verdict:
        """What is wrong with the entries so far, the head and the anchors; more may be taken later."""
        findings: list[Finding] = list(_check_signature("the head", head, keys))
        for anchor in self._anchors:
            findings.extend(_check_signature(f"the anchor at {anchor.sequence}", anchor, keys))
            if anchor.log != self.log:
                other = f"the anchor at {anchor.sequence} belongs to another log: the log was replaced"
                findings.append(_found(Harm.FORKED, 0, other))
        findings.extend(self._findings)
        for entry in self._strange:
            findings.extend(_check_replaced_head(entry, keys))
        findings.extend(self._check_end(head))
        findings.extend(
            _found(
                Harm.TAIL,
                anchor.sequence,
                f"an anchor has entry {anchor.sequence}, but the log does not: its end was cut off",
            )
            for anchor in self._wanted.values()
            if anchor.sequence > self.last
        )
        return Verdict(entries=self.entries, findings=tuple(findings))

    def _check_end(self, head: Head) -> Iterable[Finding]:
        last = self.last
        if last < head.sequence:
            yield _found(Harm.TAIL, last + 1, f"entries {last + 1} to {head.sequence} are missing at the end")
        elif last > head.sequence:
            put_back = f"the head is at {head.sequence}, but there are entries up to {last}: an older head was restored"
            yield _found(Harm.HEAD, head.sequence, put_back)
        elif self._previous != head.hash:
            again = "the last entry is not the one that the head signs: the log was chained again"
            yield _found(Harm.HEAD, head.sequence, again)


def verify(entries: Iterable[Entry], head: Head, keys: Mapping[str, str], anchors: Sequence[Head] = ()) -> Verdict:
    """Checks a log from its first entry on.

    `keys` are the trusted public keys by key id (hexadecimal); a key that came with the log proves
    nothing, so the caller brings them. `anchors` are heads of this log that were kept elsewhere.
    One pass, constant memory.
    """
    check = Check(head.log, anchors)
    for entry in entries:
        check.take(entry)
    return check.verdict(head, keys)


def _found(harm: Harm, sequence: int, message: str) -> Finding:
    return Finding(harm=harm, sequence=sequence, message=message)


def _check_signature(what: str, head: Head, keys: Mapping[str, str]) -> Iterable[Finding]:
    public = keys.get(head.key_id)
    if public is None:
        yield _found(Harm.HEAD, head.sequence, f"{what} is signed by the unknown key {head.key_id[:12]}")
    elif not is_signed(head, public):
        yield _found(Harm.HEAD, head.sequence, f"{what} has a wrong signature")


def _check_replaced_head(entry: Entry, keys: Mapping[str, str]) -> Iterable[Finding]:
    """The head that another key had signed when this entry was written: the next write does not make it good."""
    what = f"the head before entry {entry.sequence}"
    try:
        head = Head.model_validate(entry.body.get("head"))
    except ValidationError:
        yield _found(Harm.HEAD, entry.sequence, f"{what} cannot be read")
        return
    for finding in _check_signature(what, head, keys):
        yield finding.model_copy(update={"sequence": entry.sequence})


def _check_entry(entry: Entry, log: str, last: int, previous: str) -> Iterable[Finding]:
    number = entry.sequence
    if entry.hash != entry.expected_hash(log):
        yield _found(Harm.EDITED, number, f"entry {number} was edited")
    if number == last:
        yield _found(Harm.FORKED, number, f"there are two entries {number}: the log was forked")
    elif number < last:
        yield _found(Harm.REORDERED, number, f"entry {number} comes after entry {last}: entries were reordered")
    elif number > last + 1:
        yield _found(Harm.MISSING, last + 1, f"entries {last + 1} to {number - 1} are missing")
    elif entry.previous != previous:
        yield _found(Harm.BROKEN, number, f"entry {number} does not follow entry {last}: one of them was replaced")
