"""Commits that meet another writer: tried again a bounded number of times (rule D14)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from drls_dagster.errors import DrlsError

Result = TypeVar("Result")

ATTEMPTS = 8
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0


class CommitConflictError(DrlsError):
    """Other writers were faster at every attempt; nothing was committed."""


def commit_with_retry(attempt: Callable[[], Result], *, what: str, attempts: int = ATTEMPTS) -> Result:
    """Run `attempt` until it commits, at most `attempts` times, waiting longer each time.

    `attempt` must load the table anew, as each run starts from the newest head. `what` names the
    work in the error. Only CommitFailedException, which says that nothing was committed, is tried
    again; an unknown outcome is not, since it may have been committed. Raises CommitConflictError.
    """
    from pyiceberg.exceptions import CommitFailedException

    for number in range(1, attempts + 1):
        try:
            return attempt()
        except CommitFailedException as error:
            if number == attempts:
                raise CommitConflictError(
                    f"{what}: other writers committed first {attempts} times, so nothing was written. Try "
                    "again when they have finished."
                ) from error
        # Random, so that writers that met once do not meet again in step.
        longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2**number)
        time.sleep(random.uniform(_FIRST_WAIT_SECONDS, longest))  # noqa: S311
    raise ValueError(f"attempts must be at least 1, not {attempts}")
