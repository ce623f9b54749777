"""Which fence is possible on this machine, and the fences of an installation."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.fences import enter
from drls_dagster.fences.fence import Account, Fence
from drls_dagster.fences.places import device_places, given_places, python_places, without
from drls_dagster.fences.reach import closed_folders
from drls_dagster.settings import Settings

Kind = Literal["account", "landlock", "none"]
_ENTER = str(Path(enter.__file__).resolve())
DNS = 53


class FenceRequired(DrlsError):
    """`fence.mode` demands a fence that this machine cannot make."""


@dataclass(frozen=True)
class Found:
    """The fence that this installation has, in words for people."""

    kind: Kind
    detail: str

    @property
    def is_on(self) -> bool:
        return self.kind != "none"


def found(settings: Settings) -> Found:
    """Which fence pipeline code gets here. The first call of a process tries it, which takes a tenth of a second."""
    if settings.fence.mode == "off":
        return Found("none", "fence.mode is off: pipeline code acts as the account that runs DRLS")
    reason = _why_not()
    if reason:
        return Found("none", f"{reason}: pipeline code acts as the account that runs DRLS")
    abi = enter.landlock_abi()
    weak = "" if abi >= 6 else "; this kernel cannot keep it from signalling processes of the same account"
    account = account_of(settings)
    if account is not None:
        return Found("account", f"account {account.name}, Landlock ABI {abi} and seccomp{weak}")
    return Found("landlock", f"Landlock ABI {abi} and seccomp{weak}")


def is_on(settings: Settings) -> bool:
    """Whether pipeline code is fenced here. Raises FenceRequired where it must be and cannot."""
    status = found(settings)
    if not status.is_on and settings.fence.mode == "required":
        raise FenceRequired(f"fence.mode is required, but {status.detail}; use Linux 5.13 or later with Landlock")
    return status.is_on


def account_of(settings: Settings) -> Account | None:
    """The account that pipeline code becomes; None where the setting names none.

    Raises UsageError where it does not exist, or this process cannot become it.
    """
    name = settings.fence.account
    if name is None:
        return None
    if os.geteuid() != 0:
        raise UsageError(
            f"fence.account: only root can run pipeline code as {name}, and DRLS does not run as root; remove the "
            "setting"
        )
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise UsageError(
            f"fence.account: this machine has no account {name!r}; create it, or remove the setting"
        ) from None
    if entry.pw_uid == 0 or entry.pw_gid == 0:
        raise UsageError(f"fence.account: {entry.pw_name} has rights of root; choose an account without")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def check_account(settings: Settings) -> None:
    """Raises UsageError where `fence.account` cannot run Python here. Ask outside of the engine, which cannot tell."""
    account = account_of(settings)
    if account is None:
        return
    if not can_hide():
        raise UsageError("fence.account: no mount namespace can be made on this machine; remove the setting")
    python = python_places()
    trial = Fence(read=python, account=account, hide=closed_folders(python, account))
    if not _tried(trial, sys.executable, "-I", "-S", "-c", ""):
        raise UsageError(
            f"fence.account: {account.name} cannot execute {sys.executable}; let it read that Python, or remove the "
            "setting"
        )


def code_fence(
    settings: Settings, *, read: Sequence[str] = (), write: Sequence[str] = (), ports: Sequence[int] = ()
) -> Fence | None:
    """The fence of pipeline code; None where there is none. `read`, `write` and `ports` are the run's own.

    `fence.read` and `fence.write` are allowed as well, but for what DRLS keeps for itself. Raises FenceRequired.
    """
    if not is_on(settings):
        return None
    chosen, home = settings.fence, settings.home.resolve()
    listed = (*chosen.ports, DNS) if chosen.network == "listed" else ()
    account = account_of(settings)
    reads = (*without(python_places(), home), *given_places(chosen.read, home), *read)
    writes = (*device_places(), *given_places(chosen.write, home), *write)
    return Fence(
        read=reads,
        write=writes,
        network=chosen.network,
        ports=(*listed, *ports),
        account=account,
        hide=() if account is None else (str(home), *closed_folders((*reads, *writes, str(home)), account)),
        own_pids=can_own_pids(),
    )


def confined(fence: Fence | None, command: Sequence[str]) -> list[str]:
    """The command that runs `command` inside the fence; without one, `command` itself."""
    if fence is None:
        return list(command)
    return [sys.executable, "-I", "-S", _ENTER, fence.to_json(), "--", *command]


def can_hide() -> bool:
    """Whether a mount namespace can be made here."""
    return _tried(replace(_TRIAL, hide=("/mnt",)))


def can_view() -> bool:
    """Whether the engine can get a view in which there is nothing but what its fence names."""
    return _tried(replace(_TRIAL, view=True))


def can_own_pids() -> bool:
    """Whether a namespace of process ids can be made here."""
    return _tried(replace(_TRIAL, own_pids=True))


def can_own_network() -> bool:
    """Whether a process can get a network of its own, with a view and process ids of its own as well."""
    return _tried(replace(_TRIAL, view=True, own_pids=True, own_network=True))


_TRIAL = Fence(read=("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/proc", sys.base_prefix, sys.prefix))


@cache
def _why_not() -> str:
    if not sys.platform.startswith("linux"):
        return "Landlock and seccomp are Linux's"
    if not enter.landlock_abi():
        return "this kernel has no Landlock, or it is not enabled (CONFIG_LSM, lsm=)"
    return "" if _tried(_TRIAL) else "Landlock or seccomp cannot be used by this process"


@cache
def _tried(fence: Fence, *program: str) -> bool:
    command = confined(fence, program or ["/bin/sh", "-c", "exit 0"])
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
