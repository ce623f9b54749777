"""Chats with TRex: an agent that acts for who chats, as a section of the web app."""

from __future__ import annotations

from pathlib import Path

from agent.web import acts, pages, stream
from agent.web.api import API
from agent.web.entry_view import ask_url
from agent.web.process import ChatProcess
from lifecycle.app.kit import needs
from lifecycle.app.kit.guard import Visitor
from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.section import Asks, NavLink, Pages, Section
from lifecycle.domain.people import PersonKind
from lifecycle.domain.roles import Role

HERE = Path(__file__).parent

PAGES = {
    ("GET", "/chats"): needs.READ,
    ("POST", "/chats"): needs.READ,
    ("GET", "/chats/new"): needs.READ,
    ("GET", "/chats/{chat}"): needs.READ,
    ("GET", "/chats/{chat}/stream"): needs.READ,
    ("POST", "/chats/{chat}/messages"): needs.READ,
    ("POST", "/chats/{chat}/stop"): needs.READ,
    ("POST", "/chats/{chat}/calls/{entry}/answer"): needs.READ,
    ("GET", "/chats/{chat}/entries/{entry}"): needs.READ,
    ("GET", "/chats/{chat}/entries/{entry}/output"): needs.READ,
}


def may_ask(parts: Parts, visitor: Visitor) -> bool:
    """Whether pages offer the visitor to ask about what they show."""
    process = parts.find(ChatProcess)
    is_person = visitor.person.kind is PersonKind.HUMAN
    return process is not None and process.lack is None and is_person and visitor.has(Role.VIEWER)


SECTION = Section(
    "chats",
    nav=(NavLink("/chats", "Chats"),),
    pages=Pages((pages.router, stream.router, acts.router), PAGES),
    api=API,
    needs=(ChatProcess,),
    templates=HERE / "templates",
    static=HERE / "static",
    asks=Asks(ask_url, may_ask),
)
