"""The warm host of `drls up`, for those that ask it: it starts a process with the imports done in a few milliseconds.

The host forks (ADR 49). It answers one line of JSON with another on a Unix socket that only its user can reach; the
asking process may send along the files that become the output of a process.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Set by `drls up` for its processes: the socket of the warm host.
VARIABLE = "DRLS_WARM_HOST"
NAME = "warm-host"  # among the processes of `drls up`
LAUNCH, SERVE, IS_READY = "launch", "serve", "ready"
LONGEST_LINE = 1 << 20
_SECONDS, _LOOK_SECONDS = 60.0, 1.0


class WarmHostError(Exception):
    """A warm host ended in the middle of a request."""


class WarmHost:
    """Where a warm host listens. What it is asked while it still imports waits for that."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def launch(self, run_id: str) -> int | None:
        """Starts the process of a run: its pid. None where no host is there, and nothing was started.

        Raises WarmHostError where nobody can say whether it was.
        """
        answer = self._ask({"ask": LAUNCH, "run_id": run_id})
        return None if answer is None else answer["pid"]

    def serve(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: str, output: tuple[int, int]
    ) -> int | None:
        """Starts a code server, `dagster` with these arguments: its pid. `output`: the files for what it prints.

        None and WarmHostError as for a run.
        """
        asked = {"ask": SERVE, "arguments": list(arguments), "environment": dict(environment), "folder": folder}
        answer = self._ask(asked, files=output)
        return None if answer is None else answer["pid"]

    def is_ready(self) -> bool:
        """Whether it has imported what it needs."""
        try:
            return self._ask({"ask": IS_READY}, _LOOK_SECONDS) is not None
        except WarmHostError:
            return False

    def _ask(
        self, asked: Mapping[str, Any], seconds: float = _SECONDS, files: Sequence[int] = ()
    ) -> dict[str, Any] | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(seconds)
            try:
                asking.connect(str(self._place))
            except OSError:
                return None
            line = json.dumps(asked).encode() + b"\n"
            try:
                sent = socket.send_fds(asking, [line], files) if files else 0
                asking.sendall(line[sent:])
                with asking.makefile("rb") as reading:
                    answer = reading.readline(LONGEST_LINE)
            except OSError as error:
                raise WarmHostError(f"the warm host of drls up did not answer ({error}); try again") from None
        if not answer.endswith(b"\n"):
            raise WarmHostError("the warm host of drls up did not answer (it ended); try again")
        return json.loads(answer)


def host_here() -> WarmHost | None:
    """The warm host of the `drls up` that this process belongs to."""
    place = os.environ.get(VARIABLE)
    return WarmHost(Path(place)) if place else None
