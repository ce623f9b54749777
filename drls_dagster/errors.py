"""One root for what DRLS itself reports to people.

`message` is one line: what was wrong, where, what to do. The CLI prints it without a traceback.
"""

from __future__ import annotations


class DrlsError(Exception):
    """Something failed. `exit_code` is what the CLI ends with."""

    exit_code = 1

    @property
    def message(self) -> str:
        return str(self)


class UsageError(DrlsError):
    """The caller asked for something that cannot be: wrong use, exit code 2."""

    exit_code = 2
