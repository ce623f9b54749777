"""What a visitor may do in Dagster: asks the one table, the lifecycle, and Dagster for what a request is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drls_dagster.gate.launched_by import is_signed_by, sign_launch
from drls_dagster.up.web.arguments import audited_arguments
from drls_dagster.up.web.instance import Admitted, Pairs
from drls_dagster.up.web.mutations import MUTATIONS, REPORTS, Rule
from drls_dagster.up.web.once import Claim
from drls_dagster.up.web.operations import Field
from drls_dagster.up.web.touched import Finder, Touched
from drls_dagster.up.web.visitor import Visitor
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.touching import require_everywhere, require_on, sees_pipeline


@dataclass(frozen=True)
class Change:
    """One change that a request asks for, as the audit log keeps it."""

    name: str
    touched: Touched
    said: Mapping[str, Any]

    @property
    def audited(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.touched.names:
            found |= {"pipelines": self.touched.names[:20], "environments": self.touched.environments}
        return found | dict(self.said)


class Judge:
    """`ctx` is the lifecycle. Every question is asked anew: a grant that was withdrawn counts at once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def mutations(self, visitor: Visitor, fields: Sequence[Field], find: Finder) -> list[Change]:
        """The changes that these fields ask for. Raises Forbidden for what this visitor may not do."""
        found: list[Change] = []
        for field in fields:
            if field.name == "__typename":
                continue
            rule = MUTATIONS.get(field.name)
            if rule is None:
                raise Forbidden(f"{field.name} is unknown to this DRLS; nobody may use it")
            found.append(self._judged(visitor, field.name, rule, field.arguments, find))
        return found

    def report(self, visitor: Visitor, what: str, path: Sequence[str], find: Finder) -> Change:
        """The event about an asset that a REST route stores. Raises Forbidden."""
        return self._judged(visitor, what, REPORTS, {"assetKey": {"path": list(path)}}, find)

    def admitted(self, visitor: Visitor, changes: Sequence[Change], claim: Claim | None = None) -> Admitted:
        """What the instance of the web process signs launches of this request with."""
        actor = visitor.actor
        pairs = frozenset(pair for change in changes for pair in change.touched.pipelines)
        if actor is None:
            return Admitted(visitor.name, None, pairs)

        def sign(subject: str, pipelines: Pairs) -> str:
            return sign_launch(self._ctx, actor, subject, pipelines)

        return Admitted(actor.name, sign, pairs, claim)

    def signed_by(self, person: int, tag: str, subject: str) -> bool:
        """Whether this person launched `subject`, as its tag says; no longer once the signature is too old."""
        return is_signed_by(self._ctx, person, tag, subject)

    def note(self, visitor: Visitor, changes: Sequence[Change]) -> None:
        """Dagster has no user of its own: who changed what through it is in the audit log (A4)."""
        if visitor.actor is not None:
            self._audit("dagster.changed", visitor.actor, changes)

    def sees(self, visitor: Visitor, touched: Touched) -> bool:
        """Whether every pipeline of it may be seen by somebody who may not see all of Dagster."""
        if touched.everything or visitor.actor is None:
            return visitor.wide is not None
        with self._ctx.store.read() as view:
            return all(sees_pipeline(view, visitor.actor, name) for name in touched.names)

    def _judged(self, visitor: Visitor, name: str, rule: Rule, arguments: Mapping[str, Any], find: Finder) -> Change:
        touched = rule.touches(find, arguments)
        change = Change(name, touched, audited_arguments(arguments))
        role = max((rule.role, touched.least or rule.role), key=lambda one: one.rank)
        try:
            if not visitor.writes and rule.role is not Role.VIEWER:
                raise Forbidden(f"{name} needs the role {role.value} and a token with the scope write")
            if visitor.agent and role is Role.ADMIN:
                # What an Admin does takes the scope admin everywhere else, and no agent has that.
                raise Forbidden(f"{visitor.name} is an agent, and no agent may do this (A8): {name}")
            self._require(visitor, role, touched, name)
        except Forbidden:
            if visitor.actor is not None:
                self._audit("dagster.refused", visitor.actor, [change])
            raise
        return change

    def _require(self, visitor: Visitor, role: Role, touched: Touched, doing: str) -> None:
        if visitor.actor is None or touched.anywhere:
            has = visitor.highest
            if has is None or not has.includes(role):
                raise Forbidden(
                    f"{doing} needs the role {role.value}; {visitor.name} has {has.value if has else 'none'}"
                )
        if visitor.actor is None:
            return
        with self._ctx.store.read() as view:
            _require(view, visitor.actor, role, touched, doing)

    def _audit(self, verb: str, actor: Actor, changes: Sequence[Change]) -> None:
        what = [change.name for change in changes[:20]]
        arguments = [change.audited for change in changes[:20]]
        with self._ctx.store.write(actor, "dagster") as unit:
            unit.audit(verb, "dagster", what=what, **({"arguments": arguments} if any(arguments) else {}))


def _require(view: View, actor: Actor, role: Role, touched: Touched, doing: str) -> None:
    if touched.everything:
        require_everywhere(view, actor, role, doing)
    require_on(view, actor, role, touched.names, doing)
