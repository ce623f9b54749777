"""Lists in pages, as MCP has them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

import mcp_types as types
from mcp.shared.exceptions import MCPError

Item = TypeVar("Item")
PAGE = 50


def page_of(items: Sequence[Item], cursor: str | None, size: int = PAGE) -> tuple[Sequence[Item], str | None]:
    """The page at `cursor`, and the cursor of the next one. Raises MCPError for a cursor that is not ours."""
    start = _start(cursor)
    if start > len(items):
        raise MCPError(code=types.INVALID_PARAMS, message="the list has changed; start again without a cursor")
    end = start + size
    return items[start:end], _cursor(end) if end < len(items) else None


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(f"from:{start}".encode()).decode()


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        if word == "from" and number.isdecimal():
            return int(number)
    except (binascii.Error, UnicodeError, ValueError):
        pass
    raise MCPError(code=types.INVALID_PARAMS, message="this cursor is not one of ours; start again without one")
