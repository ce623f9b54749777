"""Opening the chats of a home."""

from __future__ import annotations

import logging

from agent.chat.model import ModelClient
from agent.chat.service import ChatService
from agent.chat.store.database import Database
from agent.chat.store.store import ChatStore
from agent.tools.callers import Callers
from drls_dagster.ledger.place import place_of, this_worker
from drls_dagster.settings import Settings

# The name of the agent among those of a person.
NAME = "trex"
_LOG = logging.getLogger(__name__)


def open_service(settings: Settings) -> ChatService:
    """The chats, and what their agents ask. Turns whose process died are closed first.

    Raises StoreError where the chats' database cannot be used.
    """
    place = place_of(settings)
    store = ChatStore(Database(settings), place, this_worker(place))
    store.close_dead()
    return ChatService(settings, Callers(settings, agent=NAME), store, ModelClient(settings.agent))
