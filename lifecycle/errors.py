"""One root for what the lifecycle refuses or cannot do.

`message` is one line: what, where, what to do. `status` is the HTTP status that means the same;
`code` is a stable word for programs. A refusal is final: asking the same again is useless until
what the message names has changed.
"""

from __future__ import annotations


class LifecycleError(Exception):
    """Something was refused or failed."""

    status = 500
    code = "error"

    @property
    def message(self) -> str:
        return str(self)


class NotFound(LifecycleError):
    """There is no such pipeline, version, request, person, …"""

    status = 404
    code = "not_found"


class Invalid(LifecycleError):
    """The command itself is wrong, whoever gives it and whenever."""

    status = 422
    code = "invalid"


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


class Refused(LifecycleError):
    """The rules say no in the present state; the message says what would change that."""

    status = 409
    code = "refused"


class TooMany(LifecycleError):
    """Too many attempts; the message says when the next one counts."""

    status = 429
    code = "too_many"


class StoreError(LifecycleError):
    """The store cannot be used: wrong version, unreachable, locked for too long."""

    status = 503
    code = "store"
