"""Whether the rows are as the audit log left them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from lifecycle.audit.chain import Entry
from lifecycle.audit.verify import Finding, Harm, Verdict
from lifecycle.domain.model import Frozen
from lifecycle.store.governed import digest_of, governed_columns, governed_tables, name_of
from lifecycle.store.tables import Instant
from lifecycle.store.tables_people import AuditRow

_PAGE = 1_000
_TWO = "[0-9][0-9]"
# SQLite keeps times as text and compares them as text: '20260102 03:04:05' is read as the same time and sorts after all
# others of its year.
_SPELLING = f"{_TWO}{_TWO}-{_TWO}-{_TWO} {_TWO}:{_TWO}:{_TWO}.{_TWO}{_TWO}{_TWO}"
_SPELLED = "drls_spelled"
# What stands for a row that cannot be read: no entry has this digest.
UNREADABLE = "unreadable"


class RowCheck(Frozen):
    """How many rows were compared with the log, and which are not as it left them."""

    rows: int
    findings: tuple[Finding, ...]


class Named:
    """By row what the newest entry that names it says: the digest (None: removed) and the entry's sequence."""

    def __init__(self) -> None:
        self.newest: dict[str, tuple[str | None, int]] = {}
        # Rows that an entry changed which were not as the entry before had left them: the name and both entries.
        self.breaks: list[tuple[str, int, int]] = []

    def take(self, entry: Entry) -> None:
        """The next entry, in order."""
        self.note(entry.sequence, entry.rows)

    def note(self, sequence: int, rows: Mapping[str, Sequence[str | None]]) -> None:
        for name, (before, after) in rows.items():
            known, earlier = self.newest.get(name, (None, 0))
            if known != before:
                self.breaks.append((name, earlier, sequence))
            self.newest[name] = (after, sequence)


def current_digests(
    connection: sa.Connection, tables: Iterable[sa.Table[Any]] | None = None
) -> Iterator[tuple[str, str]]:
    """The name and the digest of every governed row, as it is in the database now."""
    for table in governed_tables() if tables is None else tables:
        keys = tuple(table.primary_key.columns)
        columns = governed_columns(table)
        last: tuple[Any, ...] | None = None
        while page := _page(connection, table, columns, keys, last):
            for key, row in page:
                yield name_of(table.name, key), UNREADABLE if row is None else digest_of(table.name, row)
            last = page[-1][0]
            if len(page) < _PAGE:
                break


def differences(
    newest: Mapping[str, tuple[str | None, int]], current: Iterable[tuple[str, str]]
) -> Iterator[tuple[Harm, str, int]]:
    """Each row that is not as its newest entry left it: how, its name, and that entry (0: none names it)."""
    seen: set[str] = set()
    for name, digest in current:
        seen.add(name)
        expected, sequence = newest.get(name, (None, 0))
        if expected is None:
            yield Harm.ROW_ADDED, name, sequence
        elif expected != digest:
            yield Harm.ROW_CHANGED, name, sequence
    for name, (expected, sequence) in newest.items():
        if expected is not None and name not in seen:
            yield Harm.ROW_REMOVED, name, sequence


def check_rows(connection: sa.Connection, named: Named) -> RowCheck:
    """Compares every governed row with what `named`, which took every entry of the same picture, says of it."""
    count = 0

    def counted() -> Iterator[tuple[str, str]]:
        nonlocal count
        for count, one in enumerate(current_digests(connection), start=1):  # noqa: B007 (the last number counts)
            yield one

    found = sorted(differences(named.newest, counted()), key=lambda one: (one[2], one[1]))
    wanted = {sequence for _, _, sequence in found} | {one for _, *both in named.breaks for one in both}
    entries = _entries(connection, wanted - {0})
    findings = [covered(name, entries.get(earlier), later) for name, earlier, later in named.breaks]
    findings += [finding_of(harm, name, entries.get(sequence)) for harm, name, sequence in found]
    return RowCheck(rows=count, findings=tuple(findings))


def covered(name: str, earlier: Entry | None, later: int) -> Finding:
    """A row was edited, and DRLS changed it after that."""
    row = name.replace(":", " ", 1)
    since = "before" if earlier is None else f"between {_wrote(earlier)} and"
    message = f"{row} was changed outside DRLS {since} entry {later}"
    return Finding(harm=Harm.ROW_CHANGED, sequence=later, message=message)


def with_rows(verdict: Verdict, checked: RowCheck) -> Verdict:
    """The verdict on a log and on the rows."""
    findings = (*verdict.findings, *checked.findings)
    return Verdict(entries=verdict.entries, findings=findings, rows=checked.rows)


def finding_of(harm: Harm, name: str, entry: Entry | None) -> Finding:
    """In words for people; `entry` is the newest that names the row."""
    table, _, key = name.partition(":")
    row = f"{table} {key}"
    if entry is None:
        message = f"{row} was added outside DRLS: no entry names it"
        return Finding(harm=harm, sequence=0, message=message)
    wrote = _wrote(entry)
    match harm:
        case Harm.ROW_CHANGED:
            message = f"{row} was changed outside DRLS: it is not what {wrote} wrote"
        case Harm.ROW_REMOVED:
            message = f"{row} was removed outside DRLS: {wrote} wrote it last"
        case _:
            message = f"{row} was added again outside DRLS: {wrote} removed it"
    return Finding(harm=harm, sequence=entry.sequence, message=message)


def _entries(connection: sa.Connection, sequences: set[int]) -> dict[int, Entry]:
    found: dict[int, Entry] = {}
    wanted = sorted(sequences)
    for start in range(0, len(wanted), 500):
        query = sa.select(*AuditRow.__table__.columns).where(AuditRow.sequence.in_(wanted[start : start + 500]))
        for row in connection.execute(query).mappings():
            found[row["sequence"]] = Entry.model_validate(dict(row))
    return found


def _wrote(entry: Entry) -> str:
    who = entry.actor.get("name", "nobody")
    return f"entry {entry.sequence} ({entry.verb} by {who}, {entry.at:%Y-%m-%d %H:%M} UTC)"


def _page(
    connection: sa.Connection,
    table: sa.Table[Any],
    columns: tuple[sa.Column[Any], ...],
    keys: tuple[sa.Column[Any], ...],
    last: tuple[Any, ...] | None,
) -> list[tuple[tuple[Any, ...], dict[str, Any] | None]]:
    """The next rows by key, each with its key; None for one that has no readable value."""
    where = () if last is None else (sa.tuple_(*keys) > sa.tuple_(*(sa.literal(one) for one in last)),)
    spelled = _as_drls_writes(columns) if connection.dialect.name == "sqlite" else sa.true()
    query = sa.select(*columns, spelled.label(_SPELLED)).where(*where).order_by(*keys).limit(_PAGE)
    names = [key.name for key in keys]
    try:
        rows = [dict(row) for row in connection.execute(query).mappings()]
        return [(tuple(row[name] for name in names), _marked(row)) for row in rows]
    except (ValueError, TypeError, LookupError, OverflowError):
        found = connection.execute(sa.select(*keys).where(*where).order_by(*keys).limit(_PAGE)).all()
        return [(tuple(key), _row(connection, columns, keys, tuple(key))) for key in found]


def _marked(row: dict[str, Any]) -> dict[str, Any]:
    """The row; with a mark that no entry of DRLS has, where it is written in another way."""
    if row[_SPELLED]:
        del row[_SPELLED]
    return row


def _as_drls_writes(columns: Iterable[sa.Column[Any]]) -> sa.ColumnElement[bool]:
    """Whether each value of a row in SQLite is written so that SQL compares it as Python reads it."""
    found: list[sa.ColumnElement[bool]] = [sa.true()]
    for column in columns:
        if isinstance(column.type, Instant | sa.DateTime):
            found.append(sa.or_(column.is_(None), sa.cast(column, sa.Text).op("GLOB")(_SPELLING)))
        elif isinstance(column.type, sa.Boolean):
            found.append(sa.or_(column.is_(None), sa.cast(column, sa.Integer).in_((0, 1))))
    return sa.and_(*found)


def _row(
    connection: sa.Connection,
    columns: tuple[sa.Column[Any], ...],
    keys: tuple[sa.Column[Any], ...],
    key: tuple[Any, ...],
) -> dict[str, Any] | None:
    query = sa.select(*columns).where(*(column == value for column, value in zip(keys, key, strict=True)))
    try:
        row = connection.execute(query).mappings().first()
        return None if row is None else cast("dict[str, Any]", dict(row))
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
