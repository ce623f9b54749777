"""Somebody watches a comparison: they hear how far it is, and can end it, as can the time it may take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lifecycle.domain.data_diff import DiffStep, Progress, Watch
from lifecycle.errors import Unavailable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EVERY = 0.2  # seconds


class TooLong(Unavailable):
    """The comparison did not end in the time that it may take."""


class Watched:
    """Tells `watch` in a thread of its own; when that raises, or after `seconds`, the comparison ends with it."""

    def __init__(self, watch: Watch, seconds: float) -> None:
        self._watch = watch
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._progress = Progress(step=DiffStep.PLANNING)
        self._over = threading.Event()
        self._ended_by: BaseException | None = None
        self._database: DuckDBPyConnection | None = None
        self._line = threading.Lock()
        self._thread = threading.Thread(target=self._tell, name="data-diff-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if self._ended_by is not None and error is not self._ended_by:
            # What the interrupted statement raised says nothing.
            raise self._ended_by from None

    @contextmanager
    def interrupting(self, database: DuckDBPyConnection) -> Iterator[None]:
        """While this is open, ending the comparison stops the statement that `database` runs."""
        self._database = database
        try:
            yield
        finally:
            with self._line:
                self._database = None

    def now(self, step: DiffStep, *, of: int | None = None) -> None:
        """The next step begins."""
        changes = {"step": step, **({"of": of} if of is not None else {})}
        self._progress = self._progress.model_copy(update=changes)
        self._check()

    def read(self, *, files: int = 0, rows: int = 0) -> None:
        """So much more was read."""
        now = self._progress
        self._progress = now.model_copy(update={"files": now.files + files, "rows": now.rows + rows})
        self._check()

    def _check(self) -> None:
        if self._ended_by is not None:
            raise self._ended_by

    def _tell(self) -> None:
        while True:
            try:
                if time.monotonic() > self._until:
                    raise TooLong(
                        f"the comparison took longer than {self._seconds:g} seconds; try again when the "
                        "machine is less busy, or lower the row limit in the settings (data_diff)"
                    )
                self._watch(self._progress)
            except BaseException as error:  # noqa: BLE001 (raised again by the comparison's own thread)
                self._ended_by = error
            with self._line:
                if self._ended_by is not None and self._database is not None:
                    # Again and again: a statement may begin just after this.
                    self._database.interrupt()
            if self._over.wait(_EVERY):
                return
