"""Outage, refusal or defect: three kinds of failure that people and programs treat differently.

An outage ends when whatever is down comes back, so the same is tried again. A refusal is DRLS's own answer. Anything
else is wrong in data, in settings or in the code, and trying again does not help.
"""

from __future__ import annotations

from lifecycle.errors import DrlsError, StoreError, Unavailable, is_refusal, one_line

# An OSError that says something about a file or a right, not about a connection or a disk.
_NO_OUTAGE = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ProcessLookupError,
    ChildProcessError,
)
_DEFECTS = (TypeError, AttributeError, LookupError, NameError, AssertionError, ArithmeticError, RecursionError)
_SQLITE_ERROR = 1


def is_outage(error: BaseException) -> bool:
    """Whether a store, a catalog, a server or a network is down, so that the same may work later."""
    if isinstance(error, (Unavailable, StoreError)):
        return True
    if isinstance(error, OSError):
        return not isinstance(error, _NO_OUTAGE)
    return _is_database_outage(error)


def is_defect(error: BaseException) -> bool:
    """Whether the code itself is wrong, whatever the outside does."""
    return isinstance(error, _DEFECTS) and not _is_of_arrow(error)


def told(error: BaseException) -> str:
    """One line for people. A defect says that it is one: the log has the rest."""
    if isinstance(error, DrlsError) or is_outage(error):
        return one_line(error)
    return f"a bug in DRLS ({type(error).__name__}: {one_line(error)}); see the log for details"


def kind_of(error: BaseException) -> str:
    """`outage`, `refusal` or `failure`: what the two others are not, defects included."""
    if is_outage(error):
        return "outage"
    return "refusal" if is_refusal(error) else "failure"


def _is_database_outage(error: BaseException) -> bool:
    # Imported here: who reports a wrong option need not wait for it.
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    if isinstance(error, OperationalError):
        # SQLite says "no such column" with the same class as "disk I/O error".
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code is None or code & 0xFF != _SQLITE_ERROR
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, (InterfaceError, PoolTimeout))


def _is_of_arrow(error: BaseException) -> bool:
    """Arrow's own errors about data are TypeError and KeyError too."""
    return any(one.__module__.startswith("pyarrow") for one in type(error).__mro__)
