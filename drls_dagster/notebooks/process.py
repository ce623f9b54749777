"""The process of a notebook: its fence, its variables, its limits, and how it ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import account_of, can_own_network, code_fence, confined
from drls_dagster.fences.private_folder import make_private_folder
from drls_dagster.fences.reach import hand_over
from drls_dagster.notebooks.places import ASK_VARIABLE, TOKEN_VARIABLE, ask_socket, files_of, token_file
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings, memory_bytes
from lifecycle.errors import Refused

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  in the view of the fence, its own
_NICE = "5"
_END_SECONDS = 10.0


@dataclass
class NotebookProcess:
    """The process that waits for everything inside the fence; all of it ends with this one."""

    process: subprocess.Popen[bytes]
    private: Path

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def memory(self) -> int:
        """Bytes that all its processes have in memory."""
        found = 0
        try:
            every = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.Error:
            return 0
        for one in every:
            try:
                found += one.memory_info().rss
            except psutil.Error:
                continue
        return found

    def end(self) -> None:
        """At once: a namespace of process ids ends with its first process."""
        if self.is_alive:
            self.process.kill()
        self.process.wait(_END_SECONDS)
        shutil.rmtree(self.private, ignore_errors=True)


def start_process(
    settings: Settings, sockets: Path, person: int, base: str, listening: socket.socket
) -> NotebookProcess:
    """Raises Refused where this system cannot fence it. Call it in the main thread: it ends with the thread."""
    files = files_of(settings, person)
    fence = notebook_fence(settings, sockets, person)
    account = account_of(settings)
    private = make_private_folder(settings, account)
    for mine in (files, token_file(sockets, person).parent, ask_socket(sockets)):
        hand_over(mine, account)
    fence = fence.widened(write=(str(private),))
    packages = _packages(token_file(sockets, person).parent)
    variables = {
        "PYTHONPATH": str(packages),
        ASK_VARIABLE: str(ask_socket(sockets)),
        TOKEN_VARIABLE: str(token_file(sockets, person)),
        "XDG_CONFIG_HOME": str(private),
    }
    command = [
        *(sys.executable, "-m", "drls_dagster.notebooks.host", str(listening.fileno()), base, str(files)),
        str(memory_bytes(settings.notebook.memory)),
    ]
    log = private_home(settings.home, "logs") / f"notebook-{person}.log"
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        process = subprocess.Popen(
            ["nice", "-n", _NICE, *confined(replace(fence, remove=(str(private),)), command)],
            env=code_environment(settings, private, **variables),
            cwd=files,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(listening.fileno(),),
        )
    return NotebookProcess(process, private)


def _packages(folder: Path) -> Path:
    """A folder to import DRLS from: that of a checkout cannot be listed inside the fence, which has more in it."""
    made = folder / "packages"
    made.mkdir(mode=0o755, exist_ok=True)
    own = Path(__file__).resolve().parents[2]
    for name in ("drls_dagster", "lifecycle"):
        if not (made / name).is_symlink():
            (made / name).symlink_to(own / name)
    return made


def notebook_fence(settings: Settings, sockets: Path, person: int) -> Fence:
    """That of pipeline code, and in addition: nothing else is visible, and no network but a loopback of its own.

    marimo's server and kernel talk over loopback and shared memory without a secret, so both are the notebook's own.
    Raises Refused where there is none.
    """
    fence = code_fence(settings)
    if fence is None or not can_own_network():
        raise Refused(
            "a notebook needs a fence with namespaces of its own, which this machine or fence.mode does not allow; "
            "drls doctor says why"
        )
    asks = (str(ask_socket(sockets).parent), str(token_file(sockets, person).parent))
    return replace(
        fence.widened(read=asks, write=(str(files_of(settings, person)), _SHARED_MEMORY)),
        network="open",
        ports=(),
        unix_sockets=True,
        hide=(),
        view=True,
        own_proc=fence.account is None,
        own_pids=True,
        own_network=True,
        dies_with_parent=True,
    )
