"""Asking processes that may end at any moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psutil

Answer = TypeVar("Answer")


def unless_gone(ask: Callable[[], Answer], otherwise: Answer) -> Answer:
    """What `ask` returns; `otherwise` where the process that it asks has ended."""
    try:
        return ask()
    except psutil.NoSuchProcess:
        return otherwise
