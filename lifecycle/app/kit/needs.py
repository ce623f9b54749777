"""What a page asks of its visitor. Every page has an entry in its section's access table, or the site does not start.

`role` is the least that a visitor has anywhere; whether they have it on this pipeline is asked again by
the verb, inside its transaction. What is somebody's own asks for no role: whoever lost theirs can still leave.
"""

from __future__ import annotations

from lifecycle.domain.model import Frozen
from lifecycle.domain.roles import Role


class PageNeed(Frozen):
    """What a page asks of its visitor; `role` None: none, but for some pages that they are signed in."""

    role: Role | None
    signed_in: bool = True


OPEN = PageNeed(role=None, signed_in=False)
OWN = PageNeed(role=None)
READ = PageNeed(role=Role.VIEWER)
WRITE = PageNeed(role=Role.DATA_ENGINEER)
LEAD = PageNeed(role=Role.LEAD)
ADMIN = PageNeed(role=Role.ADMIN)
