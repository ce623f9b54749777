"""Ends everything that a `drls up` started when that one is gone, however it went (kill -9 too).

It waits for the end of its standard input, which only `drls up` holds open.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from pathlib import Path

from drls_dagster.engine.processes import MARK as ENGINE_MARK
from drls_dagster.engine.processes import end_all


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--mark", required=True)
    arguments.add_argument("--up-id", required=True)
    arguments.add_argument("--remove", type=Path, help="A temporary folder that goes too")
    arguments.add_argument("--socket", type=Path, action="append", default=[], help="A socket that goes too")
    given = arguments.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    # The engine stays: it belongs to whoever uses it and stops automatically when nobody does.
    end_all(given.up_id, mark=given.mark, without=ENGINE_MARK)
    for place in given.socket:
        place.unlink(missing_ok=True)
    if given.remove:
        shutil.rmtree(given.remove, ignore_errors=True)


if __name__ == "__main__":
    main()
