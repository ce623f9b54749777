"""What a command says over Dagster Pipes: lines of JSON in a file. It is shown, and nothing of it is evidence.

The file is opened before the command starts and read by that descriptor, so that a command that puts a link in its
place shows nothing but its own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

MOST_BYTES = 16 * 2**20
MOST_LOGGED = 1000
MOST_NAMED = 200  # checks, and entries of metadata
_LONGEST = 20_000
_BYTES = 2**20
_EXACT = 2**53  # beyond it JavaScript shows another number


@dataclass(frozen=True)
class Reported:
    """A check that a command reports."""

    name: str
    passed: bool
    blocking: bool
    message: str


@dataclass
class Messages:
    """Follows the messages file; `on_log` gets what the command logs."""

    file: Path
    on_log: Callable[[str], None]
    mask: Callable[[str], str] = lambda text: text
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    checks: dict[str, Reported] = field(default_factory=dict[str, Reported])
    raised: str = ""  # by a script that ended with an exception
    _rest: bytes = b""
    _read: int = 0
    _logged: int = 0

    def __post_init__(self) -> None:
        self._opened = os.open(self.file, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        os.close(self._opened)

    def look(self) -> None:
        """Take in what has been written since the last look."""
        while self._read < MOST_BYTES and (more := os.read(self._opened, _BYTES)):
            self._read += len(more)
            *lines, self._rest = (self._rest + more).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):
                    self._take(json.loads(line))

    def _take(self, said: dict[str, Any]) -> None:
        method, given = said["method"], cast("dict[str, Any]", said.get("params") or {})
        if method == "log":
            self._log(str(given["message"]))
        elif method == "report_asset_materialization":
            for name, value in dict(given.get("metadata") or {}).items():
                if len(self.metadata) < MOST_NAMED:
                    self.metadata[self.mask(_text(str(name))[:100])] = self._plain(value)
        elif method == "report_asset_check":
            name = _text(str(given["check_name"]))[:100]
            if len(self.checks) < MOST_NAMED and isinstance(given["passed"], bool):
                metadata = {str(key): self._plain(value) for key, value in dict(given.get("metadata") or {}).items()}
                told = _text(", ".join(f"{key}: {value}" for key, value in metadata.items()))[:300]
                blocking = given.get("severity", "ERROR") != "WARN"
                self.checks[name] = Reported(name, given["passed"], blocking, told or _told(given["passed"]))
        elif method == "closed":
            error: dict[str, Any] = given["exception"]
            self.raised = self.mask(" ".join(_text(error["message"]).split())[:300])

    def _log(self, text: str) -> None:
        self._logged += 1
        if self._logged <= MOST_LOGGED:
            self.on_log(self.mask(_text(text)[:_LONGEST]))
        elif self._logged == MOST_LOGGED + 1:
            self.on_log(f"the command logs more than {MOST_LOGGED} messages; print the rest")

    def _plain(self, value: object) -> str | int | float | bool | None:
        """One value for people; anything with parts as JSON text."""
        if isinstance(value, dict) and "raw_value" in value:
            return self._plain(cast("dict[str, Any]", value)["raw_value"])
        if value is None or isinstance(value, bool):
            return value
        if (isinstance(value, int) and abs(value) <= _EXACT) or (isinstance(value, float) and math.isfinite(value)):
            return value
        return self.mask(_text(value)[:_LONGEST])


def pipes_environment(context: Path, messages: Path) -> dict[str, str]:
    """The variables by which dagster-pipes finds both files."""
    return {
        "DAGSTER_PIPES_CONTEXT": _encoded({"path": str(context)}),
        "DAGSTER_PIPES_MESSAGES": _encoded({"path": str(messages)}),
    }


def _encoded(value: dict[str, str]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def _text(value: Any) -> str:
    """Text that can be stored: a lone surrogate of JSON cannot."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _told(passed: bool) -> str:
    return "reported as passed" if passed else "reported as failed"
