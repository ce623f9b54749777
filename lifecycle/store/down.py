"""A database that is busy or down, in words; what is wrong with a statement stays a defect."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lifecycle.errors import StoreError
from lifecycle.outages import is_outage
from lifecycle.store.engine import BUSY_SECONDS
from lifecycle.store.schema import describe


@contextmanager
def outages_of(engine: Engine) -> Generator[None]:
    """Raises StoreError, in one line and without a password, where the database does not answer."""
    try:
        yield
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        why = str(error.orig if isinstance(error, DBAPIError) else error)
        if "locked" in why or "lock timeout" in why:
            raise StoreError(f"{describe(engine)} was busy for {BUSY_SECONDS} s; try again") from error
        raise StoreError(f"cannot use {describe(engine)}: {' '.join(why.split())}") from error
