"""A data plane in one SQLite file: refs and snapshots as Iceberg keeps them, with a few rows for data.

It lives outside of the process, so that what a killed process did is still there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from lifecycle.domain.data_diff import DataDiff, DiffLimits, DiffStep, Progress, RowKey, Side, Watch
from lifecycle.domain.environment import Environment
from lifecycle.domain.facts import SnapshotFacts, TableFacts
from lifecycle.domain.plan import PositionPlan
from lifecycle.domain.seal import Altered, Digests, FileKind, SealedFile, SealedFiles, Why
from lifecycle.errors import Conflict, NotFound
from lifecycle.ports import DataPlane, Move, MoveResult
from tests.fakes.rows import ROW, Row, fake_diff

_SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, tab TEXT, parent INTEGER, op TEXT);
CREATE TABLE IF NOT EXISTS held (snapshot INTEGER PRIMARY KEY, rows TEXT);
CREATE TABLE IF NOT EXISTS ref (tab TEXT, name TEXT, head INTEGER, PRIMARY KEY (tab, name));
CREATE TABLE IF NOT EXISTS tag (tab TEXT, name TEXT, snapshot INTEGER, PRIMARY KEY (tab, name));
CREATE TABLE IF NOT EXISTS said (name TEXT PRIMARY KEY, value TEXT);
"""


class FakePlane(DataPlane):
    """`say` sets what tests vary: fingerprints by environment, tables that cannot move, positions."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._tx() as sql:
            sql.executescript(_SCHEMA)

    @contextmanager
    def _tx(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=60, isolation_level=None)) as sql:
            # A killed process loses nothing by it, and no test cuts the power.
            sql.execute("PRAGMA synchronous = OFF")
            sql.execute("BEGIN IMMEDIATE")
            try:
                yield sql
            except BaseException:
                sql.execute("ROLLBACK")
                raise
            if sql.in_transaction:
                sql.execute("COMMIT")

    def say(self, name: str, value: object) -> None:
        with self._tx() as sql:
            sql.execute("REPLACE INTO said VALUES (?, ?)", (name, json.dumps(value)))

    def _said(self, sql: sqlite3.Connection, name: str) -> object:
        row = sql.execute("SELECT value FROM said WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def write(self, table: str, parent: int | None, operation: str = "append", rows: Sequence[Row] = (ROW,)) -> int:
        """A snapshot that no ref points to yet: what a step has written."""
        with self._tx() as sql:
            row = sql.execute("INSERT INTO snapshot (tab, parent, op) VALUES (?, ?, ?)", (table, parent, operation))
            assert row.lastrowid is not None
            held = [] if operation == "overwrite" else self._held(sql, parent)
            # A compaction keeps the rows; one that claims to and does not is `replace` with other ones.
            held = list(rows) if operation == "replace" and rows != (ROW,) else held
            held += [] if operation == "replace" else rows
            sql.execute("INSERT INTO held VALUES (?, ?)", (row.lastrowid, json.dumps(held)))
            return row.lastrowid

    def _held(self, sql: sqlite3.Connection, snapshot: int | None) -> list[Row]:
        row = sql.execute("SELECT rows FROM held WHERE snapshot = ?", (snapshot,)).fetchone()
        return [] if row is None else json.loads(row[0])

    def commit(self, table: str, ref: str = "main", operation: str = "append", rows: Sequence[Row] = (ROW,)) -> int:
        """A foreign write: a snapshot on top of a ref, without a permit."""
        snapshot = self.write(table, self.head(table, ref), operation, rows)
        with self._tx() as sql:
            sql.execute("REPLACE INTO ref VALUES (?, ?, ?)", (table, ref, snapshot))
        return snapshot

    def publish(self, table: str, ref: str, base: int | None, candidate: int) -> bool:
        """What a run does under its permit."""
        with self._tx() as sql:
            if self._head(sql, table, ref) != base:
                return False
            sql.execute("REPLACE INTO ref VALUES (?, ?, ?)", (table, ref, candidate))
            return True

    def head(self, table: str, ref: str) -> int | None:
        with self._tx() as sql:
            return self._head(sql, table, ref)

    def set_ref(self, table: str, ref: str, head: int | None) -> None:
        """Somebody moves a ref to another snapshot, or (None) takes it away."""
        with self._tx() as sql:
            self._set(sql, table, ref, head)

    def tags(self, table: str) -> dict[str, int]:
        with self._tx() as sql:
            return dict(sql.execute("SELECT name, snapshot FROM tag WHERE tab = ?", (table,)).fetchall())

    def count_snapshots(self) -> int:
        with self._tx() as sql:
            return sql.execute("SELECT count(*) FROM snapshot").fetchone()[0]

    def _head(self, sql: sqlite3.Connection, table: str, ref: str) -> int | None:
        row = sql.execute("SELECT head FROM ref WHERE tab = ? AND name = ?", (table, ref)).fetchone()
        return None if row is None else row[0]

    def _set(self, sql: sqlite3.Connection, table: str, ref: str, head: int | None) -> None:
        """A ref without a snapshot is no ref."""
        sql.execute("DELETE FROM ref WHERE tab = ? AND name = ?", (table, ref))
        if head is not None:
            sql.execute("INSERT INTO ref VALUES (?, ?, ?)", (table, ref, head))

    def _has(self, sql: sqlite3.Connection, table: str, snapshot: int) -> bool:
        return bool(sql.execute("SELECT 1 FROM snapshot WHERE id = ? AND tab = ?", (snapshot, table)).fetchone())

    def _seen(self, sql: sqlite3.Connection, table: str, environment: Environment) -> int | None:
        known = sql.execute("SELECT 1 FROM ref WHERE tab = ? AND name = ?", (table, environment.ref)).fetchone()
        return self._head(sql, table, environment.ref if known else "main")

    def table(self, table: str, environment: Environment) -> TableFacts:
        with self._tx() as sql:
            separate = self._said(sql, f"separate:{table}")
            uuid = self._said(sql, f"uuid:{table}") or f"uuid-of-{table}"
            return TableFacts(
                table=table,
                uuid=str(uuid),
                head=self._seen(sql, table, environment),
                separate=separate if isinstance(separate, str) else None,
            )

    def snapshots(
        self, table: str, environment: Environment, head: int | None, until: int | None
    ) -> Sequence[SnapshotFacts]:
        with self._tx() as sql:
            return self._chain(sql, table, head, until)

    def _chain(self, sql: sqlite3.Connection, table: str, head: int | None, until: int | None) -> list[SnapshotFacts]:
        found: list[SnapshotFacts] = []
        query = "SELECT parent, op FROM snapshot WHERE id = ? AND tab = ?"
        while head is not None and head != until and (row := sql.execute(query, (head, table)).fetchone()):
            found.append(SnapshotFacts(id=head, parent=row[0], operation=row[1]))
            head = row[0]
        return found

    def is_on_main(self, table: str, snapshot: int) -> bool:
        chain = self.snapshots(table, Environment.PRODUCTION, self.head(table, "main"), None)
        return any(one.id == snapshot for one in chain)

    def metadata_changes(self, spec: str, environment: Environment) -> Mapping[str, Sequence[str]]:
        if environment is not Environment.PRODUCTION:
            return {}
        with self._tx() as sql:
            rows = sql.execute("SELECT name, value FROM said WHERE name LIKE 'metadata:%'").fetchall()
            return {name.removeprefix("metadata:"): json.loads(value) for name, value in rows}

    def fingerprints(self, spec: str, environment: Environment) -> Mapping[str, str]:
        with self._tx() as sql:
            said = self._said(sql, f"fingerprints:{environment.value}")
            return said if isinstance(said, dict) else {}

    def positions(self, spec: str, source: Environment, target: Environment) -> Sequence[PositionPlan]:
        with self._tx() as sql:
            said = self._said(sql, "positions")
            return [PositionPlan.model_validate(one) for one in said] if isinstance(said, list) else []

    def drop_columns(self, table: str, columns: Sequence[str]) -> Sequence[str]:
        """`columns:<table>` says which there are, `values:<table>` which of them main has values in."""
        with self._tx() as sql:
            there, full = self._said(sql, f"columns:{table}") or [], self._said(sql, f"values:{table}") or []
            assert isinstance(there, list)
            assert isinstance(full, list)
            gone = [column for column in there if column in columns and column not in full]
            left = [column for column in there if column not in gone]
            sql.execute("REPLACE INTO said VALUES (?, ?)", (f"columns:{table}", json.dumps(left)))
            return [column for column in columns if column not in left]

    def open_session(
        self, environment: Environment, tables: Sequence[str], seen: Mapping[str, TableFacts] | None = None
    ) -> Mapping[str, int | None]:
        bases: dict[str, int | None] = {}
        for table in tables:
            with self._tx() as sql:
                if seen is not None and self._seen(sql, table, environment) != seen[table].head:
                    raise Conflict(f"{table} changed while its session was being opened; try again")
                bases[table] = self._head(sql, table, "main")
                self._set(sql, table, environment.ref, bases[table])
        return bases

    def pin(self, table: str, environment: Environment, snapshot: int, tag: str) -> None:
        with self._tx() as sql:
            if not self._has(sql, table, snapshot):
                raise NotFound(f"{table} no longer has snapshot {snapshot}")
            sql.execute("REPLACE INTO tag VALUES (?, ?, ?)", (table, tag, snapshot))

    def unpin(self, table: str, environment: Environment, tag: str) -> None:
        with self._tx() as sql:
            sql.execute("DELETE FROM tag WHERE tab = ? AND name = ?", (table, tag))

    def move(self, move: Move, environment: Environment) -> MoveResult:
        with self._tx() as sql:
            if self._said(sql, "unreachable"):
                raise ConnectionError("the catalog does not answer")
            tag = sql.execute("SELECT snapshot FROM tag WHERE tab = ? AND name = ?", (move.table, move.tag)).fetchone()
            if tag is not None:
                return MoveResult.ALREADY if tag[0] == move.candidate else MoveResult.CONFLICT
            known = self._has(sql, move.table, move.candidate)
            if self._head(sql, move.table, move.ref) != move.base or not known:
                return MoveResult.CONFLICT
            self._set(sql, move.table, move.ref, move.candidate)
            sql.execute("INSERT INTO tag VALUES (?, ?, ?)", (move.table, move.tag, move.candidate))
            return MoveResult.MOVED

    def undo(self, move: Move, environment: Environment) -> bool:
        with self._tx() as sql:
            head = self._head(sql, move.table, move.ref)
            above = self._chain(sql, move.table, head, None)
            if head not in (move.candidate, move.base) and any(one.id == move.candidate for one in above):
                return False
            if head == move.candidate:
                self._set(sql, move.table, move.ref, move.base)
            sql.execute("DELETE FROM tag WHERE tab = ? AND name = ?", (move.table, move.tag))
            return True

    def expire(self, table: str, snapshots: Sequence[int]) -> None:
        with self._tx() as sql:
            sql.executemany("DELETE FROM snapshot WHERE id = ? AND tab = ?", [(one, table) for one in snapshots])

    def compare(
        self, table: str, before: Side, after: Side, keys: Sequence[RowKey], limits: DiffLimits, watch: Watch
    ) -> DataDiff:
        watch(Progress(step=DiffStep.READING, of=2))
        with self._tx() as sql:
            for side in (before, after):
                if side.snapshot is not None and not self._has(sql, table, side.snapshot):
                    raise NotFound(f"{table} no longer has snapshot {side.snapshot} in {side.environment.label}")
            held = [self._held(sql, side.snapshot) for side in (before, after)]
        return fake_diff(table, before, after, *held, keys, limits)

    def differing(self, table: str, environment: Environment, before: int, after: int) -> Sequence[str]:
        with self._tx() as sql:
            held = []
            for snapshot in (before, after):
                if not self._has(sql, table, snapshot):
                    raise NotFound(f"{table} no longer has snapshot {snapshot}")
                held.append(self._held(sql, snapshot))
        if len(held[0]) != len(held[1]):
            return [f"the row count was {len(held[0])} and is {len(held[1])}"]
        names = dict.fromkeys(name for row in held[0] for name in row)
        columns = {name: [sorted(str(row[name]) for row in side) for side in held] for name in names}
        return [f"column {name} has other values" for name, (one, two) in columns.items() if one != two]

    def seal(self, table: str, environment: Environment, base: int | None, candidate: int) -> SealedFiles:
        """A snapshot has one file, of a hundred bytes."""
        with self._tx() as sql:
            chain = self._chain(sql, table, candidate, base)
        return SealedFiles.of(
            SealedFile(FileKind.DATA, f"/lake/{table}/data/{one.id}.parquet", 100, f"sha256:{one.id}") for one in chain
        )

    def sealed_now(self, table: str, environment: Environment, file: SealedFile) -> SealedFiles:
        return SealedFiles.of([file._replace(size=7, digest="sha256:now")])

    def begin_sealing(self, table: str, environment: Environment, base: int | None, candidate: int) -> None:
        return

    def altered(
        self,
        table: str,
        environment: Environment,
        sealed: Sequence[SealedFiles],
        digests: Digests,
        *,
        head: int | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> Sequence[Altered]:
        """`alter` says which."""
        with self._tx() as sql:
            said = self._said(sql, f"altered:{table}") or {}
            assert isinstance(said, dict)
            needed = None if head is None else {one.id for one in self._chain(sql, table, head, None)}
        paths = {f"/lake/{table}/data/{snapshot}.parquet": (int(snapshot), why) for snapshot, why in said.items()}
        found = [(one, *paths[one.path]) for files in sealed for one in files.files if one.path in paths]
        return [
            Altered(table=table, name=one.name, path=one.path, why=Why(why), detail="7 bytes instead of 100")
            for one, snapshot, why in found
            if needed is None or snapshot in needed
        ]

    def alter(self, table: str, snapshot: int, why: Why | None = Why.SIZE) -> None:
        """Somebody overwrites or removes the file of a snapshot; None: it is restored."""
        with self._tx() as sql:
            said = self._said(sql, f"altered:{table}") or {}
        assert isinstance(said, dict)
        said.pop(str(snapshot), None)
        self.say(f"altered:{table}", {**said, **({str(snapshot): why.value} if why else {})})
