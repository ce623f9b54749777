"""The world of the chat's tests."""

from __future__ import annotations

from tests.agent.chat.conftest import provider, template, world

__all__ = ["provider", "template", "world"]
