"""The audit log."""

from __future__ import annotations

from lifecycle.audit import Entry, Head
from lifecycle.domain.people import Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Invalid
from lifecycle.store.rows import RowCheck
from lifecycle.store.unit import View
from lifecycle.usecases.parts.access import require
from lifecycle.verbs.answers import AuditKey, Page
from lifecycle.verbs.inputs import Cursor, EntryVerb, Limit, ShortText, Since
from lifecycle.verbs.verb import Call, answers, lists


@lists(Entry)
def search(
    call: Call,
    *,
    subject: ShortText | None = None,
    verb: EntryVerb | None = None,
    before: Cursor = None,
    after: Since = None,
    limit: Limit = 100,
) -> Page[Entry]:
    """Audit entries, newest first. With `after`, every entry behind that one, oldest first."""
    if after is not None and (subject, verb, before) != (None, None, None):
        raise Invalid("after reads the whole log, oldest first; leave subject, verb and before out")
    with call.read() as (view, _):
        _admin(view, call)
        if after is not None:
            found = list(view.log.entries(after, limit=limit))
        else:
            found = list(view.log.search(subject=subject, verb=verb, before=before, limit=limit))
    return Page(items=found, next=str(found[-1].sequence) if len(found) == limit else None)


@answers(Head)
def head(call: Call) -> Head:
    """The signed head: keep it elsewhere as an anchor."""
    with call.read() as (view, _):
        return view.log.head()


@answers(RowCheck)
def rows(call: Call) -> RowCheck:
    """Whether every row of the database is as the audit log left it; reads the whole log and every row."""
    with call.read() as (view, _):
        _admin(view, call)
        return view.log.check_rows()


@answers(AuditKey)
def key(call: Call) -> AuditKey:
    """What the head's signature is checked with; keep it where this server cannot write."""
    return AuditKey(key=call.ctx.store.signing_key.public)


def _admin(view: View, call: Call) -> None:
    """Entries are about every pipeline: an Admin of one reads none."""
    require(view, call.who, Role.ADMIN, Target(), "reading the audit log")
