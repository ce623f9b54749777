"""Where settings are: what the visitor may look at or change."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.kit import links
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.render import render
from lifecycle.domain.roles import Role

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
    may = "View and change" if admin else "View"
    found = [
        Card("person", "Profile and tokens", "Your account, password, tokens and sessions.", links.profile()),
        Card("shield", "Policies", f"{may} what a promotion needs in each environment.", links.policies()),
    ]
    if admin:
        found += [
            Card("person", "People and teams", "Accounts, roles, teams, sign-in links.", links.people()),
            Card(
                "bell", "Notifications", "Receivers of notifications, and undelivered messages.", links.notifications()
            ),
            Card("lock", "Audit", "Every change, and proof that nobody altered the log.", links.audit()),
        ]
    return tuple(found)


@router.get("/settings")
def settings(request: Request, who: Who) -> Response:
    """The index."""
    return render(request, "settings/index.html", cards=cards_for(who), admin=who.has(Role.ADMIN))
