"""DuckDB on streams of tables, closed to everything else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.diff.scratch import scratch
from drls_dagster.lakehouse.reader.sql.streams import TableStream
from drls_dagster.lakehouse.reader.values import first_rows
from lifecycle.errors import Invalid, LifecycleError, Unavailable, one_line

if TYPE_CHECKING:
    import duckdb

_THREADS = 2
_SPILL = "2GB"
_BATCH = 1_024
_AGAIN = 0.2
_OF_MEMORY = ("bad_alloc", "out of memory", "failed to allocate")
_LOCKED = (
    "SET TimeZone = 'UTC'",
    "SET enable_external_access = false",
    "SET allow_community_extensions = false",
    "SET python_scan_all_frames = false",
    "SET lock_configuration = true",
)


class TooLong(Unavailable):
    """A query did not end in the time that it may take."""


class TooMuch(Unavailable):
    """A query needs more memory than it may take."""


@contextmanager
def opened(memory: str, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, that spills into a private folder; what runs in it is stopped after `seconds`."""
    import duckdb

    with scratch() as folder:
        database = duckdb.connect(":memory:", config=_config(folder, memory))
        try:
            for statement in _LOCKED:
                database.execute(statement)
            with _stopped_after(database, seconds), _in_words(memory, seconds):
                yield database
        finally:
            database.close()


def select(
    sql: str, streams: Mapping[str, TableStream], *, memory: str, seconds: float, rows: int, most_bytes: int, text: int
) -> dict[str, Any]:
    """The columns and at most `rows` rows of a statement that was read by `read_statement`."""
    with opened(memory, seconds) as database:
        for name, stream in streams.items():
            database.register(name, stream)
        # Not `execute`, which computes the whole result before it gives the first row.
        with closing(database.sql(sql).to_arrow_reader(_BATCH)) as reader:
            return first_rows(reader.schema, reader, rows=rows, most_bytes=most_bytes, text=text)


def _config(folder: Path, memory: str) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": memory,
        "threads": _THREADS,
        "temp_directory": str(folder / "spill"),
        "max_temp_directory_size": _SPILL,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }


@contextmanager
def _stopped_after(database: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    over = threading.Event()

    def stop() -> None:
        wait = seconds
        while not over.wait(wait):
            # Again and again: a statement may begin just after this.
            database.interrupt()
            wait = _AGAIN

    thread = threading.Thread(target=stop, name="query-stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _in_words(memory: str, seconds: float) -> Iterator[None]:
    import duckdb
    from pyarrow import ArrowException

    try:
        yield
    except LifecycleError:
        raise
    except duckdb.InterruptException:
        raise too_long(seconds) from None
    except (duckdb.OutOfMemoryException, MemoryError):
        raise too_much(memory) from None
    except (duckdb.Error, ArrowException) as error:
        # What happens behind the first rows arrives as an error of Arrow's, with DuckDB's words.
        text = str(error)
        if "INTERRUPT" in text:
            raise too_long(seconds) from None
        if any(word in text.lower() for word in _OF_MEMORY):
            raise too_much(memory) from None
        raise Invalid(f"the query failed: {_first_line(text)}") from None


def too_long(seconds: float) -> TooLong:
    return TooLong(f"the query took longer than {seconds:g} seconds and was stopped; ask for less, or allow more time")


def too_much(memory: str) -> TooMuch:
    return TooMuch(f"the query needs more than {memory} of memory; select fewer columns or rows, or aggregate")


def _first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("LINE ", " "))]
    words = one_line(Exception(" ".join(lines[:2]) if lines else text))
    return re.sub(r"^(\w+ )*Error: ", "", words)
