"""What a process needs that waits for another one, passes signals on, and ends all that is below it.

This file imports the standard library only: it is also loaded by its path, by processes that have no packages.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import struct

_SIGNALFD_INFO = 128  # bytes of struct signalfd_siginfo, whose first word is the signal
_SET_BYTES = 128  # of glibc's sigset_t
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 0.05

_from_os = ctypes.CDLL(None, use_errno=True)


class Signals:
    """Signals that this process, which has one thread, reads instead of being interrupted by them.

    They are blocked, so none is lost: not before the process waits, and not between a look and the next wait. Make it
    before a fork, and call `forget` in the child.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = (*numbers, signal.SIGCHLD)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)  # whoever started this process may have it ignore them
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        mask = sum(1 << (number - 1) for number in self._numbers)
        wanted = struct.pack("<Q", mask).ljust(_SET_BYTES, b"\0")
        self._descriptor = _from_os.signalfd(-1, wanted, os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "signalfd")

    def fileno(self) -> int:
        """To be polled: readable while a signal waits."""
        return self._descriptor

    def wait(self, seconds: float | None = None) -> list[int]:
        """The signals that came, SIGCHLD among them; none when it took longer than `seconds`."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(None if seconds is None else seconds * 1000):
            return []
        return self.read()

    def read(self) -> list[int]:
        """The signals that wait now."""
        found: list[int] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                came = os.read(self._descriptor, 16 * _SIGNALFD_INFO)
                found += [struct.unpack_from("<I", came, at)[0] for at in range(0, len(came), _SIGNALFD_INFO)]
        return found

    def forget(self) -> None:
        """Have these signals do what they do to any program."""
        os.close(self._descriptor)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)


def adopt() -> None:
    """Become the parent of everything below this process whose own parent ends."""
    if _from_os.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def end_children(pid: int | None = None) -> int | None:
    """Kill every process below this one, which adopts them; the wait status of `pid`, None where it had been asked.

    Whoever calls it has `Signals`. What the kernel says of a process's children can miss one that is just being
    adopted, so this looks again until there is none.
    """
    found: int | None = None
    while True:
        _kill_children()
        try:
            while True:
                one, status = os.waitpid(-1, os.WNOHANG)
                if not one:
                    break
                if one == pid:
                    found = status
        except ChildProcessError:
            return found
        signal.sigtimedwait([signal.SIGCHLD], _LOOK_SECONDS)


def _kill_children() -> None:
    if os.getpid() == 1:  # of a namespace of process ids, in which there is nobody else
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        return
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{thread}/children") as file:
            for child in file.read().split():
                os.kill(int(child), signal.SIGKILL)  # not yet waited for, so its number is no other's


def ended(pid: int) -> int | None:
    """The wait status of a child that has ended; all others that have are reaped as well."""
    while True:
        found, status = os.waitpid(-1, os.WNOHANG)
        if found == pid:
            return status
        if not found:
            return None
