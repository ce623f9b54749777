"""What DRLS itself reports to people: the root, which the lifecycle shares, and wrong use.

The CLI prints `message` without a traceback and ends with `exit_code`.
"""

from __future__ import annotations

from lifecycle.errors import DrlsError

__all__ = ["DrlsError", "UsageError"]


class UsageError(DrlsError):
    """The caller asked for something impossible, such as a name that does not exist. Exit code 2."""

    status = 422
    code = "invalid"
    exit_code = 2
