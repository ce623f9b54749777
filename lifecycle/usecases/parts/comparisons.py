"""Comparisons of data on their way and done: each is computed once, in the background, and kept.

What two snapshots hold never changes, so what was found once stays true. It is kept in memory and, where there is a
folder, there as well: a bounded number of files, for the owner of the installation alone. Processes that share the
folder also share the work: one of them computes at a time, and the others show how far it is.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from lifecycle.domain.data_diff import REVISION, DataDiff, DiffLimits, DiffStep, Progress, RowKey, Side
from lifecycle.domain.model import Frozen
from lifecycle.errors import DrlsError, TooMany, Unavailable
from lifecycle.ports import DataPlane
from lifecycle.private_files import write_private

_LOG = logging.getLogger(__name__)
_IN_MEMORY = 64
_IN_FOLDER = 500
_WAITING = 32
_LOOK_AGAIN = 0.2  # seconds between two looks whether it is this process's turn
_BY_THEN = 5.0  # seconds that a comparison has to end in when the process does


class Asked(Frozen):
    """Which two snapshots of which table (`table_uuid`, where it is known), matched by one of which keys."""

    table: str
    table_uuid: str | None = None
    before: Side
    after: Side
    keys: tuple[RowKey, ...] = ()


class Standing(Frozen):
    """Where a comparison is: exactly one of the three is there."""

    progress: Progress | None = None
    failed: str | None = None
    diff: DataDiff | None = None


class Closing(Unavailable):
    """The process ends, and the comparison with it."""


@dataclass(slots=True)
class _Job:
    """A comparison that is computed, or was and failed."""

    progress: Progress = field(default_factory=Progress)
    failed: str | None = None
    thread: threading.Thread | None = None


class Comparisons:
    """One at a time is computed, so that memory stays bounded; the others wait for their turn."""

    def __init__(self, limits: DiffLimits | None = None, folder: Path | None = None) -> None:
        self._limits = limits or DiffLimits()
        self._folder = folder
        self._line = threading.Lock()
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._ends_with_process = False
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._found: OrderedDict[str, DataDiff] = OrderedDict()

    def ask(self, plane: DataPlane, asked: Asked, *, again: bool = False) -> Standing:
        """What is known now; begins to compute what is not. One that failed begins only `again`.

        Raises TooMany while too many others wait.
        """
        key = self._key(asked)
        with self._line:
            diff = self._found.get(key)
            job = self._jobs.get(key)
            if diff is not None:
                self._found.move_to_end(key)
                return Standing(diff=diff)
            if job is not None and job.failed is not None and not again:
                return Standing(failed=job.failed)
            diff = self._read(key)
            if diff is not None:
                self._keep(key, diff)
                return Standing(diff=diff)
            if job is None or job.failed is not None:
                job = self._begin(plane, asked, key)
            elsewhere = self._read_progress(key) if job.progress.step is DiffStep.WAITING else None
            return Standing(progress=elsewhere or job.progress)

    def close(self) -> None:
        """Ends what is being computed; within five seconds, or the process ends without it."""
        self._closing.set()
        with self._line:
            threads = [job.thread for job in self._jobs.values() if job.thread is not None]
        for thread in threads:
            thread.join(_BY_THEN)

    def _begin(self, plane: DataPlane, asked: Asked, key: str) -> _Job:
        waiting = sum(job.failed is None for job in self._jobs.values())
        if waiting >= _WAITING:
            raise TooMany(f"{waiting} data comparisons are already queued; try again in a minute")
        if not self._ends_with_process:
            atexit.register(self.close)
            self._ends_with_process = True
        job = _Job()
        job.thread = threading.Thread(
            target=self._compute, args=(plane, asked, key, job), name=f"compare {asked.table}", daemon=True
        )
        self._jobs[key] = job
        self._jobs.move_to_end(key)
        for old in [known for known, one in self._jobs.items() if one.failed is not None][:-_IN_MEMORY]:
            del self._jobs[old]
        job.thread.start()
        return job

    def _compute(self, plane: DataPlane, asked: Asked, key: str, job: _Job) -> None:
        def watch(progress: Progress) -> None:
            job.progress = progress
            self._write_progress(key, progress)
            self._check_open()

        try:
            with self._turn, self._turn_of_all():
                # Another process may have computed it meanwhile.
                diff = self._read(key)
                if diff is None:
                    diff = plane.compare(asked.table, asked.before, asked.after, asked.keys, self._limits, watch)
                    self._write(key, diff)
        except DrlsError as error:
            self._fail(job, error.message)
        except Exception:  # noqa: BLE001 (who waits must hear of it; the log has it all)
            _LOG.exception("comparing %s of %s with %s failed", asked.table, asked.before, asked.after)
            self._fail(job, "this is a bug in DRLS; the server's log has the details")
        else:
            with self._line:
                self._keep(key, diff)
                self._jobs.pop(key, None)
        finally:
            self._write_progress(key, None)

    @contextlib.contextmanager
    def _turn_of_all(self) -> Generator[None, None, None]:
        """Among the processes that share the folder; the lock of one that was killed is free."""
        self._check_open()
        lock = None if self._folder is None else FileLock(self._folder / "turn.lock", mode=0o600)
        try:
            while lock is not None and not lock.is_locked:
                self._check_open()
                with contextlib.suppress(Timeout):
                    _make_private(lock.lock_file)
                    lock.acquire(timeout=_LOOK_AGAIN, poll_interval=_LOOK_AGAIN / 4)
        except OSError as error:
            _LOG.warning("other processes may compute the same: %s", error)
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _check_open(self) -> None:
        if self._closing.is_set():
            raise Closing("the server is being stopped")

    def _fail(self, job: _Job, why: str) -> None:
        with self._line:
            job.failed, job.thread = why, None

    def _keep(self, key: str, diff: DataDiff) -> None:
        self._found[key] = diff
        self._found.move_to_end(key)
        while len(self._found) > _IN_MEMORY:
            self._found.popitem(last=False)

    def _key(self, asked: Asked) -> str:
        text = f"{REVISION}\n{asked.model_dump_json()}\n{self._limits.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _read(self, key: str) -> DataDiff | None:
        if self._folder is None:
            return None
        file = self._folder / f"{key}.json"
        try:
            found = DataDiff.model_validate_json(file.read_bytes())
            os.utime(file)
        except (OSError, ValidationError):
            # Not there, of another DRLS, or cut short by a full disk: it is computed again.
            return None
        return found

    def _write(self, key: str, diff: DataDiff) -> None:
        """Whole or not at all; that it cannot be kept is no reason not to show it."""
        if self._folder is None:
            return
        file = self._folder / f"{key}.json"
        try:
            _make_private(file)
            write_private(file, diff.model_dump_json())
            self._sweep(self._folder)
        except OSError as error:
            _LOG.warning("the comparison of %s is kept in memory only: %s", diff.table, error)

    def _read_progress(self, key: str) -> Progress | None:
        """How far the process is that computes this."""
        if self._folder is None:
            return None
        try:
            return Progress.model_validate_json((self._folder / f"{key}.progress").read_bytes())
        except (OSError, ValidationError):
            return None  # none does, or it writes right now

    def _write_progress(self, key: str, progress: Progress | None) -> None:
        if self._folder is None:
            return
        file = self._folder / f"{key}.progress"
        with contextlib.suppress(OSError):  # shown elsewhere or not, it continues
            if progress is None:
                file.unlink(missing_ok=True)
            else:
                file.write_text(progress.model_dump_json())

    def _sweep(self, folder: Path) -> None:
        files: list[tuple[float, Path]] = []
        for file in folder.glob("*.json"):
            # Another process may sweep at the same time.
            with contextlib.suppress(FileNotFoundError):
                files.append((file.stat().st_mtime, file))
        for _, file in sorted(files)[:-_IN_FOLDER]:
            file.unlink(missing_ok=True)


def _make_private(file: str | Path) -> None:
    """Makes the folder of `file`, for this user alone."""
    Path(file).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
