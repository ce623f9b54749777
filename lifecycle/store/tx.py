"""One transaction, and how repositories read and write through it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, Select, Update, bindparam, delete, func, insert, select

from lifecycle.store.tables import Base

Model = TypeVar("Model", bound=BaseModel)


def by(
    row: type[Base],
    *columns: str,
    where: Sequence[ColumnElement[bool]] = (),
    order: Sequence[Any] = (),
    limit: int | None = None,
) -> Select[*tuple[Any, ...]]:
    """A query for `prepared`: the rows whose `columns` have the values that are given later under these names.

    It is built once, with the module: SQLAlchemy takes four times as long to build a query as SQLite to answer it.
    """
    table = row.__table__
    same = [table.columns[name] == bindparam(name) for name in columns]
    return select(*table.columns).where(*same, *where).order_by(*order).limit(limit)


class Tx:
    """A connection inside a transaction. `now` is one instant for the whole transaction (UTC)."""

    def __init__(self, connection: Connection, now: datetime, *, writes: bool) -> None:
        self._connection = connection
        self._writes = writes
        self.now = now
        self.changed = False

    def many(self, model: type[Model], query: Select[*tuple[Any, ...]]) -> tuple[Model, ...]:
        """The rows of `query`, each as a `model`."""
        rows = self._connection.execute(query).mappings()
        return tuple(model.model_validate(dict(row)) for row in rows)

    def one(self, model: type[Model], query: Select[*tuple[Any, ...]]) -> Model | None:
        """The first row of `query`, or None."""
        row = self._connection.execute(query.limit(1)).mappings().first()
        return None if row is None else model.model_validate(dict(row))

    def prepared(self, model: type[Model], query: Select[*tuple[Any, ...]], **given: Any) -> Model | None:
        """The first row of a query that was built once, with these values for its parameters."""
        row = self._connection.execute(query, given).mappings().first()
        return None if row is None else model.model_validate(dict(row))

    def prepared_many(self, model: type[Model], query: Select[*tuple[Any, ...]], **given: Any) -> tuple[Model, ...]:
        """All rows of such a query."""
        return tuple(model.model_validate(dict(row)) for row in self._connection.execute(query, given).mappings())

    def values(self, query: Select[*tuple[Any, ...]]) -> list[Any]:
        """The first column of each row."""
        return list(self._connection.execute(query).scalars())

    def tuples(self, query: Select[*tuple[Any, ...]], **given: Any) -> list[tuple[Any, ...]]:
        """The rows as they are."""
        return [tuple(row) for row in self._connection.execute(query, given)]

    def count(self, query: Select[*tuple[Any, ...]]) -> int:
        """How many rows `query` has."""
        return self._connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()

    def insert(self, table: type[Base], **values: Any) -> int:
        """Adds a row; its primary key."""
        result = self._connection.execute(self._write(insert(table).values(**values)))
        key = result.inserted_primary_key
        return key[0] if key else 0

    def update(self, statement: Update) -> int:
        """Changes rows; how many."""
        return self._connection.execute(self._write(statement)).rowcount

    def delete(self, table: type[Base], where: ColumnElement[bool]) -> int:
        """Removes rows; how many."""
        return self._connection.execute(self._write(delete(table).where(where))).rowcount

    def _write(self, statement: Any) -> Any:
        if not self._writes:
            raise RuntimeError("a read transaction does not write; use Store.write")
        self.changed = True
        return statement
