"""Where settings are: what the visitor may look at or change."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.kit import links
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.render import render
from lifecycle.domain.environment import Role

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Card:
    """One kind of setting."""

    icon: str
    name: str
    about: str
    href: str


def cards_for(who: Visitor) -> tuple[Card, ...]:
    """What there is for this visitor."""
    admin = who.has(Role.ADMIN)
    may = "Look at and change" if admin else "Look at"
    found = [
        Card("person", "Profile and tokens", "Who you are here, your password, tokens and sessions.", links.profile()),
        Card("shield", "Policies", f"{may} what a promotion needs in each environment.", links.policies()),
    ]
    if admin:
        found += [
            Card("person", "People and teams", "Accounts, roles, teams, sign-in links.", links.people()),
            Card("bell", "Notifications", "Who is told of what, and what did not arrive.", links.notifications()),
            Card("lock", "Audit", "What happened, and the proof that nobody changed it.", links.audit()),
        ]
    return tuple(found)


@router.get("/settings")
def settings(request: Request, who: Who) -> Response:
    """The index."""
    return render(request, "settings/index.html", cards=cards_for(who), admin=who.has(Role.ADMIN))
