"""A child process that is to run: started, logged, started again with growing pauses when it ends."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
_LOG_BYTES = 10 * 1024 * 1024


@dataclass
class Child:
    """`environment` is all that the process gets of one; `pass_fds` are sockets that it inherits. Times are seconds."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    pause: float = FIRST_PAUSE
    started: float = 0.0
    again_at: float = field(default=0.0)

    def start(self) -> None:
        """Starts it in a session of its own: Ctrl-C is for who watches over all of them."""
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self.pass_fds,
            )
        self.started = time.monotonic()

    def watch(self) -> str | None:
        """Looks after it: what happened since the last look, in words; None when nothing did."""
        now = time.monotonic()
        if self.process is None:
            if now < self.again_at:
                return None
            self.start()
            return f"restarting {self.name}"
        code = self.process.poll()
        if code is None:
            return None
        if now - self.started > STEADY_SECONDS:
            self.pause = FIRST_PAUSE
        self.process, self.again_at = None, now + self.pause
        told = f"{self.name} ended with {code}; restarting in {self.pause:.0f} s (see {self.log})"
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        return told
