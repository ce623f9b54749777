"""Private folders of processes that pipeline code runs in: TMPDIR and HOME. Those of dead processes are removed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import psutil

from drls_dagster.fences.fence import Account
from drls_dagster.fences.reach import hand_over
from drls_dagster.private_home import private_home
from drls_dagster.processes import process_is
from drls_dagster.settings import Settings

_NAME = re.compile(r"^(\d+)-(\d+\.\d+)-")


def make_private_folder(settings: Settings, account: Account | None = None) -> Path:
    """A new folder of this process for whoever it confines, whose account owns it. Remove it with `shutil.rmtree`."""
    root = private_home(settings.home, "private")
    me = psutil.Process()
    made = Path(tempfile.mkdtemp(prefix=f"{me.pid}-{me.create_time():.2f}-", dir=root))
    hand_over(made, account)
    return made


def clear_private_folders(settings: Settings) -> None:
    """Remove the folders whose process has ended, however it ended."""
    root = settings.home / "private"
    for name in os.listdir(root) if root.is_dir() else ():
        known = _NAME.match(name)
        if known is None or not process_is(int(known[1]), float(known[2])):
            shutil.rmtree(root / name, ignore_errors=True)
