"""One root for everything that DRLS itself reports to people.

`message` says what, where, and what to do: one line for each thing that is wrong, as a rule one.
`status` is the HTTP status that means the same, `code` a stable word for programs, `exit_code` what a
command ends with: 2 when the command itself is wrong, else 1. So one handler serves every error.
"""

from __future__ import annotations


class DrlsError(Exception):
    """Base class of all errors of DRLS: something was refused or failed."""

    status = 500
    code = "error"
    exit_code = 1

    @property
    def message(self) -> str:
        return str(self)


class LifecycleError(DrlsError):
    """The lifecycle refused or could not do something.

    A refusal is final: asking the same again is useless until what the message names has changed.
    """


class NotFound(LifecycleError):
    """There is no such pipeline, version, request, person, …"""

    status = 404
    code = "not_found"


class Invalid(LifecycleError):
    """The command itself is wrong, whoever gives it and whenever."""

    status = 422
    code = "invalid"
    exit_code = 2


class Unauthorized(LifecycleError):
    """Nobody known asks: no, a wrong, an expired or an outdated credential."""

    status = 401
    code = "unauthorized"


class Forbidden(LifecycleError):
    """This person may not do this here."""

    status = 403
    code = "forbidden"


class Conflict(LifecycleError):
    """Somebody or something else was first: look again, then decide again."""

    status = 409
    code = "conflict"


class LeaseLost(Conflict):
    """Another executor has resumed what this one had begun."""


class Refused(LifecycleError):
    """The rules say no in the present state; the message says what would change that."""

    status = 409
    code = "refused"


class TooMany(LifecycleError):
    """Too many attempts; the message says when the next one counts."""

    status = 429
    code = "too_many"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(LifecycleError):
    """Something outside that this needs does not answer; trying again later may help."""

    status = 503
    code = "unavailable"


class StoreError(LifecycleError):
    """The store cannot be used: wrong version, unreachable, locked for too long."""

    status = 503
    code = "store"


def is_refusal(error: BaseException) -> bool:
    """Whether DRLS said no to what was asked, rather than failed at it."""
    return isinstance(error, DrlsError) and 400 <= error.status < 500


def one_line(error: BaseException) -> str:
    """What an error says, as one line of at most 500 characters that every store takes.

    The name of a file may hold bytes that are no character: these are shown escaped, as `\\udcff`.
    """
    text = " ".join((error.message if isinstance(error, DrlsError) else str(error)).split())
    return text[:500].encode("utf-8", "backslashreplace").decode() or type(error).__name__
