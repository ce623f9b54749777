"""The sections of the site that `drls up` serves: the approvals app, tables, and what shows Dagster in it.

A new one is a line here: the dotted name of a module that has SECTION in it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from drls_dagster.settings import Settings
from drls_dagster.web.sections import DAGSTER
from drls_dagster.web.sections import SECTIONS as APP
from lifecycle.app.kit.section import Section

# Chats are above this package: they are found by name, where they are installed.
_CHATS = "agent.web.section"
_CHATS_CONNECTED = "agent.web.connect"

SECTIONS: tuple[str | Section, ...] = (
    *APP,
    DAGSTER,
    *((_CHATS,) if find_spec("agent") else ()),
)


def chats_of(settings: Settings, socket: Path | None) -> object | None:
    """What the section of chats needs; None where it is not installed."""
    return import_module(_CHATS_CONNECTED).connect(settings, socket) if _CHATS in SECTIONS else None
