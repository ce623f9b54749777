"""The Dagster instance of a home, opened once per process, its storage made once."""

from __future__ import annotations

import os
import threading
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from drls_dagster.orchestrator.dagster_yaml import write_dagster_yaml
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_open: dict[tuple[int, Path], dg.DagsterInstance] = {}
_line = threading.Lock()


def dagster_home(settings: Settings) -> Path:
    """DRLS_HOME/dagster, with a dagster.yaml that has the gate. The environment's DAGSTER_HOME is set to it."""
    folder = private_home(settings.home, "dagster")
    write_dagster_yaml(folder)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def instance_of(settings: Settings) -> dg.DagsterInstance:
    """The instance in DRLS_HOME/dagster; it lives as long as the process."""
    import dagster as dg

    # A forked process must not share its parent's database connections.
    key = (os.getpid(), settings.home)
    with _line:
        if key not in _open:
            make_storage(settings)
            _open[key] = dg.DagsterInstance.from_config(str(dagster_home(settings)))
        return _open[key]


def has_storage(settings: Settings) -> bool:
    """Whether this version of Dagster has made its storage here."""
    return _made(settings).exists()


def make_storage(settings: Settings) -> None:
    """Makes Dagster's storage, one process at a time; nothing when it is there.

    Dagster itself takes no lock: of processes that make it at once two write the schema's version, and nothing
    can still open it.
    """
    if has_storage(settings):
        return
    folder = dagster_home(settings)
    with FileLock(folder / ".storage.lock"):
        if has_storage(settings):
            return
        import dagster as dg

        with dg.DagsterInstance.from_config(str(folder)) as instance:
            # Each makes its tables when it is first asked for.
            _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage
        _made(settings).touch()


def _made(settings: Settings) -> Path:
    return settings.home / "dagster" / f".storage-{version('dagster')}"
