"""What travels between the chat process and the site."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import TypeAdapter

from agent.chat import wire


def test_events_come_back_as_they_were_sent() -> None:
    at = datetime(2026, 3, 31, 18, tzinfo=UTC)
    call = wire.ToolEntry(
        id=2, at=at, tool="run", title="Run", changes=True, arguments={"n": 1}, state=wire.CallState.ASKING
    )
    sent = wire.EntryEvent(entry=call)
    lines = wire.frame("e1-7", sent).splitlines()
    assert lines[:2] == ["id: e1-7", "event: entry"]
    assert TypeAdapter(wire.Event).validate_json(lines[2].removeprefix("data: ")) == sent
