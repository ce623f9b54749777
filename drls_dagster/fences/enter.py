"""Confine this process, for good, and become another program.

Run as `python -I -S enter.py FENCE -- argv…`, or call `confine`. FENCE is JSON, or `@` and a file of it. This file
imports the standard library only, so that it starts in a few hundredths of a second and runs in any Python.

Landlock (Linux 5.13 and later) decides which files can be opened, which TCP ports can be reached, and that nothing
outside the fence can be traced or signalled. It does not see connections to Unix sockets in the file system, changes of
a file's mode, or UDP. Seccomp refuses those to the code of pipelines (calls.py); the engine, which needs them, gets a
view in which there is nothing but what its fence names (view.py). Neither needs root. All of it lasts for the life of
the process and of everything it starts.

Sources: landlock(7), capabilities(7), mount_namespaces(7), network_namespaces(7), netdevice(7) of the Linux man-pages.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from_os = ctypes.CDLL(None, use_errno=True)

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
_READ = EXECUTE | READ_FILE | READ_DIR
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
# How many file rights each version of Landlock knows: the bits from 0 on.
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPES = 1 << 0 | 1 << 1  # abstract Unix sockets, signals
_SYS_LANDLOCK = 444  # create_ruleset; add_rule and restrict_self follow. The same on every architecture
_PATH_BENEATH, _NET_PORT = 1, 2

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_NEW_NAMESPACE, _NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x00020000, 0x10000000, 0x20000000, 0x40000000
_SET_INTERFACE, _UP = 0x8914, 0x1 | 0x40  # SIOCSIFFLAGS; IFF_UP and IFF_RUNNING
_BIND, _REC, _PRIVATE, _NOSUID, _NODEV, _READ_ONLY, _REMOUNT = 4096, 16384, 1 << 18, 2, 4, 1, 32
_CAPABILITY_VERSION = 0x20080522


class CannotConfine(OSError):
    """The kernel, or what this process may do, does not allow the fence."""


def landlock_abi() -> int:
    """The version of Landlock that this kernel has; 0 where it has none."""
    found = from_os.syscall(_SYS_LANDLOCK, None, 0, 1)
    return max(int(found), 0)


def confine(fence: dict[str, Any]) -> None:
    """Confine the calling thread and all that it starts. Call it while the process has one thread.

    `fence` has the fields of `drls_dagster.fences.fence.Fence`. Raises CannotConfine.
    """
    calls = beside("calls")  # before the fence closes, which may not have that file inside
    if fence.get("own_network"):
        _enter_own_network()
    if fence.get("view"):
        _enter_namespace()
        beside("view").show_only(fence["read"], fence["write"], own_proc=fence.get("own_proc", False))
    elif fence.get("hide"):
        _hide(fence["hide"], [*fence["read"], *fence["write"]])
    ruleset = _ruleset(fence)
    account = fence.get("account")
    if account is not None:
        os.setgroups([])
        os.setresgid(account["gid"], account["gid"], account["gid"])
        os.setresuid(account["uid"], account["uid"], account["uid"])
        os.environ.update(USER=account["name"], LOGNAME=account["name"])
        # Else a process that executes nothing more, such as a forked host, could not look at its own /proc.
        _checked(from_os.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")
    elif os.geteuid() == 0:
        _keep_capabilities(fence.get("capabilities", ()))
    if fence.get("dies_with_parent") or fence.get("own_pids"):
        _die_with_parent()  # again: a change of the account forgets it
    _checked(from_os.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _checked(from_os.syscall(_SYS_LANDLOCK + 2, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)
    calls.filter_calls(fence)


def _ruleset(fence: dict[str, Any]) -> int:
    abi = landlock_abi()
    if not abi:
        raise CannotConfine("this kernel has no Landlock")
    files = (1 << _RIGHTS_BY_ABI[min(abi, 5)]) - 1
    limits_network = abi >= 4 and fence["network"] != "open"
    net = _BIND_TCP | _CONNECT_TCP if limits_network else 0
    said = struct.pack("QQQ", files, net, _SCOPES if abi >= 6 else 0)
    size = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}.get(abi, 24)
    ruleset = from_os.syscall(_SYS_LANDLOCK, said, size, 0)
    _checked(ruleset, "landlock_create_ruleset")
    for rights, places in ((_READ, fence["read"]), (files, fence["write"])):
        for place in places:
            _allow(ruleset, place, rights & files)
    if limits_network:
        rules = [(_CONNECT_TCP, port) for port in fence["ports"]]
        for rights, port in (*rules, (_BIND_TCP, 0)):
            rule = struct.pack("=QQ", rights, port)
            _checked(from_os.syscall(_SYS_LANDLOCK + 1, ruleset, _NET_PORT, rule, 0), f"port {port}")
    return ruleset


def _allow(ruleset: int, place: str, rights: int) -> None:
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not os.path.isdir(place):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, opened)
        _checked(from_os.syscall(_SYS_LANDLOCK + 1, ruleset, _PATH_BENEATH, rule, 0), place)
    finally:
        os.close(opened)


def _hide(hidden: list[str], shown: list[str]) -> None:
    """Put an empty folder over each of `hidden`, for this process alone; what the fence allows inside of it stays.

    Otherwise a program could not open what is in there, but could still connect to its sockets and change its modes.
    """
    _enter_namespace()
    real = sorted({os.path.realpath(place) for place in shown if os.path.exists(place)})
    inside = {
        place: os.open(place, os.O_PATH | os.O_CLOEXEC)
        for place in real
        if any(_is_below(place, one) for one in hidden)
    }
    covered = [one for one in sorted({os.path.realpath(one) for one in hidden}) if os.path.isdir(one)]
    covered = [one for one in covered if not any(_is_below(one, other) for other in covered)]
    for one in covered:
        _mount("tmpfs", one, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=1m")
    for place, opened in sorted(inside.items()):
        if os.path.isdir(f"/proc/self/fd/{opened}"):
            os.makedirs(place, mode=0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
            os.close(os.open(place, os.O_CREAT | os.O_CLOEXEC, 0o600))
        _mount(f"/proc/self/fd/{opened}", place, None, _BIND | _REC, None)
        os.close(opened)
    for one in covered:
        _mount("none", one, None, _REMOUNT | _BIND | _READ_ONLY | _NOSUID | _NODEV, None)


def _is_below(place: str, folder: str) -> bool:
    return os.path.realpath(place).startswith(os.path.realpath(folder).rstrip("/") + "/")


def _enter_namespace() -> None:
    _unshare(_NEW_NAMESPACE)
    _mount("none", "/", None, _REC | _PRIVATE, None)


def _enter_own_network() -> None:
    """A network of this process's own: nothing but its loopback, whose ports nobody else reaches."""
    import fcntl
    import socket

    _unshare(_NEW_NETWORK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SET_INTERFACE, struct.pack("16sH14x", b"lo", _UP))


def _unshare(what: int) -> None:
    """A namespace of this process's own; who is not root gets one of accounts with it, in which nobody changes."""
    uid, gid = os.geteuid(), os.getegid()
    if from_os.unshare(what) != 0:
        _checked(from_os.unshare(what | _NEW_USER), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        # Whose capabilities grew, if only in here, is closed to its own account until it executes a program: DRLS could
        # no longer find the process by the mark in its environment.
        _checked(from_os.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")


def enter_own_pids(remove: Sequence[str] = ()) -> None:
    """Continue in a child that is the first process of a namespace of its own: when it ends, all that it started end.

    The caller's process waits for the child and ends as the child did. SIGTERM and SIGHUP end the child at once, SIGINT
    is passed on. The child ends when the waiting process does. The folders to `remove` go with it.
    """
    _unshare(_NEW_PIDS)
    parent = beside("parent")
    alive, held = os.pipe()
    signals = parent.Signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    child = os.fork()
    if child:
        os.close(alive)
        _wait_for(child, held, signals, remove)
    os.close(held)
    signals.forget()
    _checked(from_os.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "pdeathsig")
    os.set_blocking(alive, False)
    try:
        if os.read(alive, 1) == b"":
            os._exit(1)  # the parent ended before it was said
    except BlockingIOError:
        os.close(alive)


def _wait_for(child: int, held: int, signals: Any, remove: Sequence[str]) -> NoReturn:
    first, last = sorted((held, signals.fileno()))
    os.closerange(3, first)
    os.closerange(first + 1, last)
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
    found, status = 0, 0
    while not found:
        for number in signals.wait():
            if number != signal.SIGCHLD:
                os.kill(child, number if number == signal.SIGINT else signal.SIGKILL)
        found, status = os.waitpid(child, os.WNOHANG)
    import shutil  # not before: it takes as long as all of a fence

    for folder in remove:
        shutil.rmtree(folder, ignore_errors=True)
    if os.WIFSIGNALED(status):
        signals.forget()
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    said = [None if one is None else os.fsencode(one) for one in (source, target, kind, options)]
    _checked(from_os.mount(said[0], said[1], said[2], ctypes.c_ulong(flags), said[3]), f"mount {target}")


def _keep_capabilities(kept: Any) -> None:
    """Drop all other capabilities of root, also for what it executes."""
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    for number in range(last + 1):
        if number not in kept:
            # Inside another fence this is refused. It need not work: with no_new_privs no program regains a capability.
            from_os.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    mask = 0
    for number in kept:
        mask |= 1 << number
    mask &= _permitted()
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    data = struct.pack("IIIIII", low, low, low, high, high, high)
    _checked(from_os.capset(header, data), "capset")


def _permitted() -> int:
    with open("/proc/self/status") as file:
        return int(next(line.split()[1] for line in file if line.startswith("CapPrm:")), 16)


def _die_with_parent() -> None:
    parent = os.getppid()
    _checked(from_os.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "pdeathsig")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def beside(name: str) -> Any:
    """The module of that name next to this file, which may run where it has no package."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _checked(answer: int, what: str) -> None:
    if answer < 0:
        number = ctypes.get_errno()
        raise CannotConfine(number, f"{what}: {os.strerror(number)}")


def main() -> NoReturn:
    said, _, *command = sys.argv[1:]
    if said.startswith("@"):
        with open(said[1:]) as file:
            said = file.read()
    try:
        fence = json.loads(said)
        if fence.get("dies_with_parent"):
            _die_with_parent()
        if fence.get("own_pids"):
            enter_own_pids(fence.get("remove", ()))
        confine(fence)
        os.execvp(command[0], command)  # noqa: S606  becoming that program is the point
    except OSError as error:
        # Never without its fence.
        sys.stderr.write(f"drls: cannot confine {os.path.basename(command[0])}: {error}\n")
        sys.exit(126)


if __name__ == "__main__":
    main()
