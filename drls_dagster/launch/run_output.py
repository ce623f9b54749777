"""What the code of a run prints, for a process in which somebody waits for the run.

Dagster keeps it for its pages, and shows it on the stream that it was printed to through processes of its own. Here it
is shown on stderr, because stdout is for the outcome, which a program may read; and by a thread, because Ctrl-C reaches
every process of a terminal, and Dagster's end with a stack trace.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from drls_dagster.dagster_private.compute_logs import CapturedLogContext, LocalComputeLogManager, redirect_to_file

if TYPE_CHECKING:
    from drls_dagster.dagster_private.instance import ConfigurableClassData, InstanceRef

_SECONDS = 0.2  # between two looks at what was printed
_BYTES = 65536


class ShownOutput(LocalComputeLogManager):
    """Files are where Dagster has them, and every other process reads them with Dagster's own."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> ShownOutput:
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Around a run's steps: stdout and stderr of this process go to its two files, and are shown on stderr."""
        out, err = (self.get_captured_local_path(log_key, kind) for kind in ("out", "err"))
        with _shown(sys.stdout, out), _shown(sys.stderr, err):
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()


@contextmanager
def _shown(stream: IO[str], path: str) -> Iterator[None]:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
    to = os.dup(2)  # where stderr is outside this block
    ended = threading.Event()
    thread = threading.Thread(target=_show, args=(path, os.path.getsize(path), to, ended), daemon=True)
    thread.start()
    try:
        with redirect_to_file(stream, path):
            yield
    finally:
        ended.set()
        thread.join()
        os.close(to)


def _show(path: str, start: int, to: int, ended: threading.Event) -> None:
    """Copies what is written to the file behind `start`, until it has ended."""
    with open(path, "rb") as file:
        file.seek(start)
        last = False
        while not last:
            last = ended.wait(_SECONDS)
            while text := file.read(_BYTES):
                os.write(to, text)


def showing_output(ref: InstanceRef) -> InstanceRef:
    """The instance with this, where it keeps what is printed in Dagster's files; any other one as it is."""
    kept = ref.compute_logs_data
    if kept.class_name != LocalComputeLogManager.__name__:
        return ref
    return ref._replace(compute_logs_data=kept._replace(module_name=__name__, class_name=ShownOutput.__name__))
