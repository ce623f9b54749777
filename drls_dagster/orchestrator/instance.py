"""The Dagster instance of a home, opened once per process."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from drls_dagster.launch import dagster_home
from drls_dagster.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_open: dict[tuple[int, Path], dg.DagsterInstance] = {}
_line = threading.Lock()


def instance_of(settings: Settings) -> dg.DagsterInstance:
    """The instance in DRLS_HOME/dagster; it lives as long as the process."""
    import dagster as dg

    # A forked process must not share its parent's database connections.
    key = (os.getpid(), settings.home)
    with _line:
        if key not in _open:
            _open[key] = dg.DagsterInstance.from_config(str(dagster_home(settings)))
        return _open[key]
