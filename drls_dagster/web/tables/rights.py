"""Who may do what with a table, and whether the visitor may."""

from __future__ import annotations

from dataclasses import dataclass

from drls_dagster.web.tables.frame import Frame
from lifecycle.app.kit.guard import Visitor
from lifecycle.domain.people import Target
from lifecycle.domain.roles import Role
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import role_check, target_of

_ACTS = (
    ("Look at it, preview and query it", Role.VIEWER),
    ("Save a version that writes it", Role.DATA_ENGINEER),
    ("Maintain, change or roll it back", Role.LEAD),
)


@dataclass(frozen=True, slots=True)
class Right:
    """`on` says where the role is needed; `has` whether the visitor has it there."""

    doing: str
    role: Role
    on: str
    has: bool


def rights(ctx: Context, who: Visitor, frame: Frame) -> tuple[Right, ...]:
    """Reading asks for a role on one pipeline that uses the table, acting for one on all that write it."""
    writers = tuple(dict.fromkeys(use.pipeline for use in frame.uses if use.writes))
    on = ", ".join(writers) if writers else "everything"
    with ctx.store.read() as view:
        return tuple(
            Right(
                doing,
                role,
                "one pipeline that uses it" if role is Role.VIEWER and frame.uses else on,
                role is Role.VIEWER or _has(view, who, role, writers),
            )
            for doing, role in _ACTS
        )


def _has(view: View, who: Visitor, role: Role, writers: tuple[str, ...]) -> bool:
    targets = [target_of(view, view.pipelines.named(name)) for name in writers] or [Target()]
    return all(role_check(view, who.actor, role, target, "this").ok for target in targets)
