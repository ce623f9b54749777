"""What a pipeline's own Python prints, passed on to the stdout and stderr of the run's worker.

Dagster points these to another file for each step, so that the other process cannot write there itself; and it is given
nothing that belongs to the platform.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from typing import IO

_BYTES = 65536


class CodeOutput:
    """Passes on what `process` prints, from now until it and all that holds its streams have ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        pipes = ((process.stdout, "stdout"), (process.stderr, "stderr"))
        self._pipes: dict[int, tuple[IO[bytes], str]] = {pipe.fileno(): (pipe, name) for pipe, name in pipes if pipe}
        for pipe in self._pipes:
            os.set_blocking(pipe, False)
        self._line = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="output of a pipeline's Python")
        self._thread.start()

    def pass_on(self) -> None:
        """What has been printed until now."""
        with self._line:
            for pipe in list(self._pipes):
                while text := _read(pipe):
                    write_to(self._pipes[pipe][1], text)

    def close(self) -> None:
        """After the process has ended. What still holds its streams is not waited for."""
        self.pass_on()
        with self._line:
            pipes, self._pipes = self._pipes, {}
        self._thread.join(0)
        for pipe, _ in pipes.values():
            pipe.close()

    def _run(self) -> None:
        waiting = select.poll()
        for pipe in self._pipes:
            waiting.register(pipe, select.POLLIN)
        open_pipes = set(self._pipes)
        while open_pipes:
            for pipe, _ in waiting.poll():
                with self._line:
                    text = _read(pipe) if pipe in self._pipes else b""
                    if text:
                        write_to(self._pipes[pipe][1], text)
                if text == b"":
                    waiting.unregister(pipe)
                    open_pipes.discard(pipe)


def _read(pipe: int) -> bytes | None:
    """Some of what is there; None where there is nothing, b"" where nothing will come."""
    try:
        return os.read(pipe, _BYTES)
    except BlockingIOError:
        return None


def write_to(name: str, text: bytes) -> None:
    """To the stream of this process that has the name, whatever it is now."""
    stream = getattr(sys, name)
    if stream is None:
        return
    raw = getattr(stream, "buffer", None)
    stream.flush()
    if raw is None:
        stream.write(text.decode(errors="backslashreplace"))
    else:
        raw.write(text)
    stream.flush()
