"""One transaction, and how repositories read and write through it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Delete,
    Executable,
    RowMapping,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.visitors import iterate

from lifecycle.store.governed import NOT_GOVERNED, name_of
from lifecycle.store.tables import Base

Model = TypeVar("Model", bound=BaseModel)
Found = TypeVar("Found")
FOLLOWING = 100  # what a conclusion weighs, in rows
_LETTERS = 500  # of text weigh as much as another row


def by(
    row: type[Base],
    *columns: str,
    where: Sequence[ColumnElement[bool]] = (),
    order: Sequence[Any] = (),
    limit: int | None = None,
    as_text: Sequence[str] = (),
) -> Select[*tuple[Any, ...]]:
    """A query for `prepared`: the rows whose `columns` have the values that are given later under these names.

    `as_text` names columns with JSON that the caller reads itself. The query is built once, with the
    module: SQLAlchemy takes four times as long to build a query as SQLite to answer it.
    """
    table = row.__table__
    same = [table.columns[name] == bindparam(name) for name in columns]
    found = (sql_cast(one, Text).label(one.name) if one.name in as_text else one for one in table.columns)
    return select(*found).where(*same, *where).order_by(*order).limit(limit)


def changing(row: type[Base], *columns: str, where: Sequence[ColumnElement[bool]] = (), sets: Sequence[str]) -> Update:
    """A change for `Tx.change`, built once like `by`: of the rows whose `columns` have the values given later.

    They are given as `of_<column>`, what the columns in `sets` become as `set_<column>`.
    """
    table = table_of(row)
    same = [table.columns[name] == bindparam(f"of_{name}") for name in columns]
    return update(table).where(*same, *where).values({name: bindparam(f"set_{name}") for name in sets})


def table_of(row: type[Base]) -> Table[Any]:
    """The table itself: statements on the mapped class go through the ORM, which takes as long again."""
    return cast("Table[Any]", row.__table__)


class Tx:
    """A connection inside a transaction. `now` is one instant for the whole transaction (UTC).

    What prepared queries found is kept until this transaction changes a table that they read: nobody else
    can, for reading sees one picture, and of the writers only one is at work (see Store). `findings` are those of
    other transactions that read the same picture.
    """

    def __init__(
        self, connection: Connection, now: datetime, *, writes: bool, findings: Findings | None = None
    ) -> None:
        self._connection = connection
        self._writes = writes
        self.now = now
        self.changed = False
        # By name the governed rows that this transaction changed, as they were before it and are now. See `governed`.
        self.rows: dict[str, Changed] = {}
        self._untold: set[str] = set()
        self._known = Findings() if findings is None else findings

    def many(self, model: type[Model], query: Select[*tuple[Any, ...]]) -> tuple[Model, ...]:
        """The rows of `query`, each as a `model`."""
        return _models(model, self._connection.execute(query))

    def one(self, model: type[Model], query: Select[*tuple[Any, ...]]) -> Model | None:
        """The first row of `query`, or None."""
        row = self._connection.execute(query.limit(1)).mappings().first()
        return None if row is None else model.model_validate(dict(row))

    def prepared(self, model: type[Model], query: Select[*tuple[Any, ...]], **given: Any) -> Model | None:
        """The first row of a query that was built once, with these values for its parameters."""
        return next(iter(self.prepared_many(model, query, **given)), None)

    def prepared_many(self, model: type[Model], query: Select[*tuple[Any, ...]], **given: Any) -> tuple[Model, ...]:
        """All rows of such a query."""
        asked = _asked(query, given)
        found = self._known.get(asked)
        if found is None:
            found = self._known.put(asked, _models(model, self._connection.execute(query, given)))
        return found

    def once(self, key: Hashable, make: Callable[[], Found], *, rows: int = FOLLOWING) -> Found:
        """What `make` concludes from this picture alone, and not from the time; nobody changes it.

        It is kept as if it were so many `rows`.
        """
        return self._known.once(key, make, rows)

    def once_of(self, at: datetime | None, key: tuple[Hashable, ...], make: Callable[[], Found]) -> Found:
        """The same of the time `at`, which is part of what is kept; of this very moment nobody asks again."""
        return make() if at == self.now else self.once((*key, at), make)

    def values(self, query: Select[*tuple[Any, ...]]) -> list[Any]:
        """The first column of each row."""
        return list(self._connection.execute(query).scalars())

    def tuples(self, query: Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows as they are."""
        return [tuple(row) for row in self._connection.execute(query).all()]

    def prepared_tuples(self, query: Select[*tuple[Any, ...]], **given: Any) -> tuple[tuple[Any, ...], ...]:
        """The rows, as they are, of a query that was built once."""
        asked = _asked(query, given)
        found = self._known.get(asked)
        if found is None:
            rows = self._connection.execute(query, given).all()
            found = self._known.put(asked, tuple(tuple(row) for row in rows))
        return found

    def look(self, what: Callable[[Connection], Found]) -> Found:
        """What somebody finds who reads tables as such; in the same picture as everything else."""
        return what(self._connection)

    def count(self, query: Select[*tuple[Any, ...]]) -> int:
        """How many rows `query` has."""
        return self._connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()

    def insert(self, row: type[Base], **values: Any) -> int:
        """Adds a row; its primary key."""
        self._may_write()
        table = table_of(row)
        became = self._connection.execute(_inserting(table), values).mappings().one()
        self._changed(table, (), [became])
        return became[_keys(table)[0]]

    def update(self, statement: Update) -> int:
        """Changes rows; how many."""
        return self._changing(statement.table, _finding(statement), _returning(statement))

    def change(self, statement: Update, **given: Any) -> int:
        """Changes rows by a statement of `changing`, with these values for its parameters; how many."""
        return self._changing(statement.table, *_prepared_change(statement), given)

    def delete(self, row: type[Base], where: ColumnElement[bool]) -> int:
        """Removes rows; how many."""
        table = table_of(row)
        statement = delete(table).where(where)
        return self._changing(table, _finding(statement), _returning(statement), removes=True)

    def untold(self) -> set[str]:
        """The names of the rows that changed since this was asked last."""
        found, self._untold = self._untold, set()
        return found

    def _changing(
        self,
        table: Any,
        finding: Executable,
        statement: Executable,
        given: dict[str, Any] | None = None,
        *,
        removes: bool = False,
    ) -> int:
        """How many rows; a statement that found none to change has changed nothing, and owes the audit log nothing."""
        self._may_write()
        governed = table.name not in NOT_GOVERNED
        before = self._connection.execute(finding, given).mappings().all() if governed else ()
        if governed and not before:
            return 0
        rows = self._connection.execute(statement, given).mappings().all()
        if rows:
            self._changed(table, before, () if removes else rows)
        return len(rows)

    def _may_write(self) -> None:
        if not self._writes:
            raise RuntimeError("a read transaction cannot write; use Store.write")

    def _changed(self, table: Any, before: Sequence[RowMapping], after: Sequence[RowMapping]) -> None:
        self.changed = self.changed or table.info.get("audited", True)
        if table.name not in NOT_GOVERNED:
            was = {name_of(table.name, (row[key] for key in _keys(table))): row for row in before}
            became = {name_of(table.name, (row[key] for key in _keys(table))): row for row in after}
            for name in {**was, **became}:
                known = self.rows.get(name)
                first = was.get(name) if known is None else known.before
                self.rows[name] = Changed(table.name, first, became.get(name))
                self._untold.add(name)
        self._known.forget(table.name)


class Findings:
    """What prepared queries found in one picture of the store, and what follows from it. Safe for threads.

    Whoever gets something of it changes nothing in it.
    """

    def __init__(self) -> None:
        self.weight = 0
        self._found: dict[_Asked, tuple[Any, ...]] = {}
        self._following: dict[Hashable, Any] = {}

    def get(self, asked: _Asked) -> tuple[Any, ...] | None:
        return self._found.get(asked)

    def put(self, asked: _Asked, found: tuple[Any, ...]) -> tuple[Any, ...]:
        self._found[asked] = found
        self.weight += 1 + sum(map(_weight, found))
        return found

    def once(self, key: Hashable, make: Callable[[], Found], rows: int = FOLLOWING) -> Found:
        """What `make` concludes from the picture alone, and not from the time."""
        if key not in self._following:
            self._following[key] = make()
            self.weight += rows
        return self._following[key]

    def forget(self, table: str) -> None:
        """What was read of a table, and all that followed from anything."""
        self._following.clear()
        self._found = {asked: found for asked, found in self._found.items() if table not in _tables(asked[0])}


def _weight(row: tuple[Any, ...] | BaseModel) -> int:
    cells: Iterable[Any] = row.__dict__.values() if isinstance(row, BaseModel) else row
    return 1 + sum(len(cell) for cell in cells if isinstance(cell, str)) // _LETTERS


class Changed(NamedTuple):
    """A row of a table before the transaction and as it became; None: it was not, or is no longer, there."""

    table: str
    before: RowMapping | None
    after: RowMapping | None


def _models(model: type[Model], result: CursorResult[Any]) -> tuple[Model, ...]:
    """Each row as a `model`. A mapping for each row would take as long as the rest."""
    names = tuple(result.keys())
    return tuple(model.model_validate(dict(zip(names, row, strict=True))) for row in result.all())


_Asked = tuple[Select[*tuple[Any, ...]], tuple[Any, ...]]


def _asked(query: Select[*tuple[Any, ...]], given: dict[str, Any]) -> _Asked:
    """A prepared query with its values; statements are equal when they are the same object."""
    values: list[tuple[str, Any]] = []
    for name, value in given.items():
        values.append((name, tuple(cast("list[Any]", value)) if isinstance(value, list) else value))
    return query, tuple(values)


@cache
def _tables(query: Select[*tuple[Any, ...]]) -> frozenset[str]:
    """The names of all tables that a prepared query reads."""
    return frozenset(one.name for one in iterate(query) if isinstance(one, Table))


@cache
def _inserting(table: Table) -> ReturningInsert[Any]:
    return insert(table).returning(*table.columns)


@cache
def _keys(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key.columns)


def _returning(statement: Update | Delete) -> Executable:
    table = cast("Table[Any]", statement.table)
    return cast("Executable", statement.returning(*table.columns))


def _finding(statement: Update | Delete) -> Executable:
    """The query for the rows that a statement is about to change."""
    table = cast("Table[Any]", statement.table)
    query = select(*table.columns)
    return query if statement.whereclause is None else query.where(statement.whereclause)


@cache
def _prepared_change(statement: Update) -> tuple[Executable, Executable]:
    """Only of statements that were built once, with a module."""
    return _finding(statement), _returning(statement)
