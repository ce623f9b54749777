"""The folders in staging in which step hosts write: each is named after its Ray worker, which removes it.

Where the worker was killed with its engine, the next engine of this machine removes it, inside its own fence: what lies
in staging is the code's, and a link there must lead nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

import psutil

from drls_dagster.engine.step_zygote import remove
from drls_dagster.processes import process_is
from drls_dagster.storage import filesystem_of

OUTPUT = "out"  # of a recipe: staging/RUN/RECIPE/out
_NAME = re.compile(r"\.host-(\d{1,10})-(\d{1,12}\.\d{2})-([0-9a-f]{12})-\w+")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def make_host_folder(output: str) -> Path:
    """A new folder of this process below a folder of this machine."""
    me = psutil.Process()
    return Path(tempfile.mkdtemp(prefix=f".host-{me.pid}-{me.create_time():.2f}-{_pids()}-", dir=output))


def clear_host_folders(staging: str) -> None:
    """Removes those whose worker ran here and has ended; of another machine's or container's, nobody here can tell."""
    if "://" in staging and not staging.startswith("file://"):
        return
    _, root = filesystem_of(staging.rstrip("/"))
    for folder in Path(root).glob(f"*/*/{OUTPUT}/.host-*"):
        known = _NAME.fullmatch(folder.name)
        if known is not None and known[3] == _pids() and not process_is(int(known[1]), float(known[2])):
            remove(str(folder))


def _pids() -> str:
    """Where a pid means something: this start of the machine, and this namespace of pids."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    space = os.readlink("/proc/self/ns/pid") if Path("/proc/self/ns/pid").exists() else ""
    return hashlib.sha256(f"{boot} {space}".encode()).hexdigest()[:12]
