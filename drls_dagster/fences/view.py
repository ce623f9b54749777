"""A file system in which there is nothing but the places that a fence names, for this process and what it starts.

Landlock decides what can be opened. It does not see who connects to a Unix socket in the file system, nor changes of a
file's mode, owner or times. What is not there has no sockets, and what is mounted read-only keeps its modes.

This file imports the standard library only: it is loaded by its path, by processes that have no packages.
Sources: open_tree(2), move_mount(2), mount_setattr(2), pivot_root(2), proc(5) of the Linux man-pages.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

_from_os = ctypes.CDLL(None, use_errno=True)
# The same on every architecture, but for the last, which is the number on x86_64 and on aarch64.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_HERE, _EMPTY_PATH, _RECURSIVE = -100, 0x1000, 0x8000  # AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE
_CLONE, _FROM_DESCRIPTOR = 1, 4  # OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH
_READ_ONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8  # also as flags of mount(2)
_DETACH = 2
_MOST_LINKS = 40  # as many as the kernel follows
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_PROC = "/proc"
# Where programs look whatever a fence names.
_DEV_LINKS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}


def show_only(read: Sequence[str], write: Sequence[str], *, own_proc: bool) -> None:
    """Leave this process's mount namespace, which is its own, with nothing but these places in it. Raises OSError.

    Shared memory is a new and empty one. With `own_proc`, /proc has only processes that this one may trace, where the
    kernel allows such a /proc here. What a place's path leads through by links can be reached by the same path.
    """
    here = os.getcwd()
    links: dict[str, str] = {}
    written = {real for place in write if (real := _real(place, links)) is not None}
    shown = written | {real for place in read if (real := _real(place, links)) is not None}
    shown = {one for one in shown if one == _SHARED_MEMORY or not _is_inside(one, shown, written)}
    trees = {one: _copied(one, one in written) for one in sorted(shown) if one != _SHARED_MEMORY}
    root = "/tmp" if os.path.isdir("/tmp") else "/mnt"  # noqa: S108  it is covered, and not written to
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=4m")
    for place in sorted(shown):  # what is around others first
        _make_point(root + place, is_folder=place == _SHARED_MEMORY or os.path.isdir(f"/proc/self/fd/{trees[place]}"))
        if place == _SHARED_MEMORY:
            _mount("tmpfs", root + place, "tmpfs", _NOSUID | _NODEV | _NOEXEC, "mode=1777")
        elif not (place == _PROC and own_proc and _made_proc(root + place)):
            _call(_MOVE_MOUNT, trees[place], b"", _HERE, os.fsencode(root + place), _FROM_DESCRIPTOR)
    for tree in trees.values():
        os.close(tree)
    for link, aim in links.items():
        if not os.path.lexists(root + link):
            os.makedirs(os.path.dirname(root + link), mode=0o755, exist_ok=True)
            os.symlink(aim, root + link)
    _make_usual(root)
    _enter(root)
    os.chdir(here if os.path.isdir(here) else "/")


def _real(place: str, links: dict[str, str]) -> str | None:
    """The path of a place without links, those on the way noted in `links`; None where there is nothing."""
    path, rest = "/", [part for part in place.split("/") if part not in ("", ".")]
    followed = 0
    while rest:
        part = rest.pop(0)
        path = os.path.dirname(path) if part == ".." else os.path.join(path, part)
        if not os.path.islink(path):
            continue
        followed += 1
        if followed > _MOST_LINKS:
            return None
        aim = links[path] = os.readlink(path)
        rest = [part for part in aim.split("/") if part not in ("", ".")] + rest
        path = "/" if aim.startswith("/") else os.path.dirname(path)
    return path if os.path.exists(path) and path != "/" else None


def _is_inside(place: str, shown: set[str], written: set[str]) -> bool:
    """Whether another place shows this one already, to be changed if this one is."""
    return any(place != one and place.startswith(one + "/") for one in (written if place in written else shown))


def _copied(place: str, writing: bool) -> int:
    tree = _call(_OPEN_TREE, _HERE, os.fsencode(place), _CLONE | os.O_CLOEXEC | _RECURSIVE)
    flags = _NOSUID | (0 if writing else _READ_ONLY) | (0 if place.startswith("/dev/") else _NODEV)
    _set(tree, b"", _EMPTY_PATH | _RECURSIVE, flags)
    return tree


def _make_point(path: str, *, is_folder: bool) -> None:
    if os.path.exists(path):
        return
    os.makedirs(path if is_folder else os.path.dirname(path), mode=0o755, exist_ok=True)
    if not is_folder:
        os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))


def _made_proc(path: str) -> bool:
    """A new /proc without processes of others. Below user namespaces, it would need one of process ids as well."""
    try:
        _mount("proc", path, "proc", _NOSUID | _NODEV | _NOEXEC | _READ_ONLY, "hidepid=ptraceable")
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EINVAL):
            raise
        return False
    return True


def _make_usual(root: str) -> None:
    """Folders for temporary files, which are empty and stay so, and the links to a process's own descriptors."""
    for folder in ("/tmp", "/var/tmp", "/dev"):  # noqa: S108
        if not os.path.lexists(root + folder):
            os.makedirs(root + folder, mode=0o755, exist_ok=True)
    for name, descriptor in _DEV_LINKS.items():
        if not os.path.lexists(f"{root}/dev/{name}"):
            os.symlink(f"{_PROC}/self/fd{descriptor}", f"{root}/dev/{name}")


def _enter(root: str) -> None:
    _set(_HERE, os.fsencode(root), 0, _READ_ONLY | _NOSUID | _NODEV)
    os.chdir(root)
    _call(_PIVOT_ROOT[os.uname().machine], b".", b".")
    _checked(_from_os.umount2(b".", _DETACH), "umount2")  # the old one, which lies on top of the new one now
    os.chdir("/")


def _set(at: int, path: bytes, how: int, flags: int) -> None:
    wanted = struct.pack("QQQQ", flags, 0, 0, 0)
    _call(_MOUNT_SETATTR, at, path, how, wanted, len(wanted))


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    given = [os.fsencode(one) for one in (source, target, kind)]
    answer = _from_os.mount(*given, ctypes.c_ulong(flags), os.fsencode(options))
    _checked(answer, f"mount {target}")


def _call(number: int, *given: int | bytes) -> int:
    return _checked(int(_from_os.syscall(number, *given)), f"system call {number}")


def _checked(answer: int, what: str) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return answer
