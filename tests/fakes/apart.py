"""Ports that refuse to be called while this thread has a transaction of the store open.

The store has one write transaction at a time: whoever waits for a catalog inside of it holds up every permit, approval
and admission. A read transaction held open that long keeps PostgreSQL from cleaning up, and takes a connection.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from lifecycle.store.store import Store

_open = threading.local()


class InsideOfTransaction(AssertionError):
    """A port was called while a transaction was open: begin, journal, finish instead."""


def watch(store: Store) -> None:
    """Notes, by thread, which transactions of `store` are open; watching twice is watching once."""
    if getattr(store, "is_watched", False):
        return
    for name in ("read", "write"):
        setattr(store, name, _noting(name, getattr(store, name)))
    store.is_watched = True  # type: ignore[attr-defined]


def _noting(name: str, real: Any) -> Any:
    @contextmanager
    def opened(*given: Any, **named: Any) -> Generator[Any]:
        names = _open.names = [*getattr(_open, "names", ()), f"{name}({given[1] if len(given) > 1 else ''})"]
        try:
            with real(*given, **named) as unit:
                yield unit
        finally:
            _open.names = names[:-1]

    return opened


class Apart:
    """A port as `Context` has it; everything else that the fake can do stays reachable."""

    def __init__(self, port: Any, kind: type) -> None:
        self._port, self._kind = port, kind
        self._guarded = frozenset(kind.__abstractmethods__)

    def one_look(self, *, thorough: bool = True) -> Apart:
        return Apart(self._port.one_look(thorough=thorough), self._kind)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._guarded:
            return found

        def call(*given: Any, **named: Any) -> Any:
            if getattr(_open, "names", ()):
                raise InsideOfTransaction(f"{name} was called inside of {' in '.join(_open.names)}")
            return found(*given, **named)

        return call
