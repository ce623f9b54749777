"""What is an outage, and what is not: only an outage is tried again in silence."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from lifecycle.audit.keys import SigningKey
from lifecycle.errors import Conflict, Forbidden, Invalid, NotFound, Refused, StoreError, Unavailable
from lifecycle.outages import is_defect, is_outage, kind_of, told
from lifecycle.store.engine import open_engine
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import SETUP


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("the catalog is down"),
        StoreError("the store was busy"),
        ConnectionRefusedError("refused"),
        TimeoutError("timed out"),
        OSError("no route to host"),
    ],
)
def test_what_may_come_back_is_an_outage(error: Exception) -> None:
    assert (is_outage(error), is_defect(error), kind_of(error)) == (True, False, "outage")
    assert told(error) == str(error)


@pytest.mark.parametrize("kind", [Conflict, Forbidden, NotFound, Refused, Invalid])
def test_what_the_rules_say_is_a_refusal(kind: type[Exception]) -> None:
    """Finding 18; on 0.1.0 sensors took each for an outage."""
    assert (kind_of(kind("no")), told(kind("no"))) == ("refusal", "no")


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), AssertionError(), ZeroDivisionError("x")])
def test_a_wrong_line_of_code_is_a_defect(error: Exception) -> None:
    """Finding 18."""
    assert (is_outage(error), is_defect(error), kind_of(error)) == (False, True, "failure")
    assert told(error).startswith(f"a bug in DRLS ({type(error).__name__}: ")


@pytest.mark.parametrize("kind", [FileNotFoundError, PermissionError, NotADirectoryError])
def test_a_file_that_is_gone_does_not_come_back_by_waiting(kind: type[OSError]) -> None:
    assert kind_of(kind("no such file")) == "failure"


def test_a_wrong_statement_is_no_outage_though_sqlite_calls_both_operational() -> None:
    """Finding 18."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        with pytest.raises(OperationalError) as wrong:
            connection.execute(text("SELECT nothing FROM nowhere"))
        connection.execute(text("CREATE TABLE one (a INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO one VALUES (1)"))
        with pytest.raises(IntegrityError) as twice:
            connection.execute(text("INSERT INTO one VALUES (1)"))
    engine.dispose()
    assert [is_outage(one.value) for one in (wrong, twice)] == [False, False]


def test_a_store_that_goes_away_is_an_outage_and_a_wrong_statement_a_defect(
    store: Store, database: str, store_url: str, signing_key: SigningKey
) -> None:
    """Finding 18; on 0.1.0 a database that was down was "a bug in DRLS", status 500."""
    with pytest.raises(SQLAlchemyError), store.read() as view:
        view.settings._tx.values(text("SELECT nothing FROM nowhere"))  # type: ignore[arg-type]
    is_sqlite = database == "sqlite"
    away = "sqlite:////nowhere/at/all.db" if is_sqlite else store_url.rsplit("/", 1)[0] + "/not_there"
    gone = Store(open_engine(away), signing_key, FakeClock())
    with pytest.raises(StoreError, match="cannot use ") as reading, gone.read() as view:
        view.settings.find("x")
    with pytest.raises(StoreError, match="cannot use ") as writing, gone.write(SETUP, "test"):
        pass
    gone.close()
    assert [one.value.status for one in (reading, writing)] == [503, 503]
