"""What travels between the chat process and the site."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

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


def test_one_file_imports_litellm() -> None:
    """It takes seconds and much memory: neither commands nor servers nor code locations may pay for it."""
    root = Path(__file__).parents[3]
    files = [one for package in ("lifecycle", "drls_dagster", "agent") for one in (root / package).rglob("*.py")]
    found = [one for one in files if re.search(r"^\s*(?:import|from) litellm\b", one.read_text(), re.MULTILINE)]
    assert [str(one.relative_to(root)) for one in found] == ["agent/chat/model.py"]
    code = "import agent.chat.app, agent.cli.agent, agent.web.section, sys; print('litellm' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
