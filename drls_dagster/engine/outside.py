"""Refuses modules from outside to a version's code, whatever way it imports them.

Imports that a source shows ask on their own (isolated.py). What is imported by other means, such as
`exec`, `getattr(importlib, …)`, `runpy` or a pickle, is found by nobody before it happens: this finder is asked first.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType, ModuleType
from typing import Any

from drls_dagster.engine.isolated import PREFIX

STEP = "__drls_step__"  # the name that inline source knows itself by
FREE = "__drls_free__"  # set where the code is of a version from before files were kept
_line = threading.Lock()


class Outside:
    """A finder of `sys.meta_path` that finds nothing; `check` raises ImportError for what code may not import."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check
        self._state = threading.local()

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Asked for each module that is not loaded yet. `check` asks the other finders in turn, and so this one."""
        if path is not None or "." in fullname or fullname.startswith(PREFIX) or getattr(self._state, "asked", False):
            return
        if not _asked_by_code(sys._getframe(1)):
            return
        self._state.asked = True
        try:
            self._check(fullname)
        finally:
            self._state.asked = False


def watch(check: Callable[[str], None]) -> None:
    """From now on imports by pipeline code are checked in this process; safe to repeat."""
    with _line:
        if not any(isinstance(finder, Outside) for finder in sys.meta_path):
            finder: Any = Outside(check)
            sys.meta_path.insert(0, finder)


def _asked_by_code(frame: FrameType | None) -> bool:
    """Whether the import began in a version's code: the innermost frame of such code decides."""
    while frame is not None:
        names = frame.f_globals
        name = names.get("__name__")
        if name == STEP:
            return FREE not in names
        if isinstance(name, str) and name.startswith(PREFIX):
            root = sys.modules.get(name.partition(".")[0])
            return root is None or root.package.check is not None
        frame = frame.f_back
    return False
