"""How the site of `drls up` reaches the chats: it finds this by its dotted name."""

from __future__ import annotations

from pathlib import Path

from agent.web.process import ChatProcess
from agent.web.setup import NO_MODEL
from drls_dagster.settings import Settings


def connect(settings: Settings, socket: Path | None) -> ChatProcess:
    """The chat process behind `socket`; without one, pages say what to set."""
    lack = NO_MODEL if socket is None or not settings.agent.models else None
    return ChatProcess(socket or settings.home / "agent" / "none.sock", lack=lack, budget=settings.agent.per_chat)
