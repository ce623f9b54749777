"""`drls run` in a process that has its imports done, where a `drls up` of this home has one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing

from drls_dagster.gate.warm_host import Command, WarmHostError, host_of
from drls_dagster.home import home_folder


def run_hosted(arguments: Sequence[str]) -> int | None:
    """The exit code of the command, which the warm host executed. None without a host: nothing was done."""
    host = host_of(home_folder())
    if host is None:
        return None
    try:
        started = host.command(arguments, os.environ, os.getcwd(), (0, 1, 2))
        if started is None:
            return None
        with closing(started):
            return _followed(started)
    except WarmHostError as error:
        # Whether it was started nobody can say, so it is not started again.
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _followed(command: Command) -> int:
    """Waits, and hands on what a person interrupts."""
    while True:
        try:
            return command.wait()
        except KeyboardInterrupt:
            command.interrupt()
