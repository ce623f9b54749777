"""Refuse system calls to this process, for good, and to all that it starts: by seccomp, in a program of classic BPF.

There are two filters. Both refuse to trace and to mount, namespaces, keys, kernel modules, sockets of kinds that nobody
here needs, and every way to a file that runs with the rights of its owner (set-user-ID) or group. The strict one, for a
pipeline's code, also refuses Unix sockets and leaves modes, owners and times of files alone. The other one is for the
engine, which gives files modes and owners.

This file imports the standard library only: it is loaded by its path, by processes that have no packages.
Sources: seccomp(2), bpf(4), open(2), inode(7) of the Linux man-pages.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

_from_os = ctypes.CDLL(None, use_errno=True)
_PR_SET_SECCOMP = 22

# Over struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6]}.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NR, _ARCH = 0, 4
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _EACCES, _ENOSYS = 1, 13, 38
_ARCHES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
# Numbers on x86_64 and on aarch64; None where a call does not exist.
_Calls = dict[str, tuple[int | None, int | None]]
_NEVER: _Calls = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "kcmp": (312, 272), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "unshare": (272, 97), "setns": (308, 268),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "syslog": (103, 116), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "iopl": (172, None), "ioperm": (173, None), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463), "removexattrat": (466, 466),
    "semctl": (66, 191), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "mq_open": (240, 180),
}  # fmt: skip
_NOT_FOR_CODE: _Calls = {
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "ioprio_set": (251, 30), "setpriority": (141, 140), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
}  # fmt: skip
# As on a kernel that does not know them, for which every program has another way: what they are asked for lies in
# memory that a filter cannot read.
_MISSING: _Calls = {"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
                    "clone3": (435, 435), "openat2": (437, 437), "file_setattr": (469, 469)}  # fmt: skip
# Landlock does not see these. Refusing them would break copying a file with its mode, which means no harm, so they do
# nothing and say that all is well.
_WITHOUT_EFFECT: _Calls = {"chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
                           "utime": (132, None), "utimes": (235, None), "futimesat": (261, None)}  # fmt: skip
# Calls with a mode: its argument, and that of the flags where it counts only for a file that is made.
_CHANGE_MODES = (((90, None), 1, None), ((91, 52), 1, None), ((268, 53), 2, None), ((452, 452), 2, None))
_MAKE_FILES = (
    *(((2, None), 2, 1), ((257, 56), 3, 2)),  # open, openat
    *(((85, None), 1, None), ((133, None), 1, None), ((259, 33), 2, None)),  # creat, mknod, mknodat
)
_SET_ID, _MAKES = 0o6000, 0o100 | 0o20000000  # O_CREAT, O_TMPFILE
_UTIMENSAT, _PRLIMIT, _CLONE = (280, 88), (302, 261), (56, 220)
_SOCKET, _SOCKETPAIR = (41, 198), (53, 199)
_NAMESPACES = 0x7E020080  # every CLONE_NEW… flag
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _DATAGRAM = 1, 2

_Line = tuple[int, int, int, int]


def filter_calls(fence: dict[str, Any]) -> None:
    """Close the filter of the fence around the calling thread. Raises OSError."""
    machine = os.uname().machine
    if machine not in _ARCHES:
        raise OSError(_ENOSYS, f"no system call filter for {machine}")
    code = b"".join(struct.pack("HBBI", *one) for one in _program(fence, *_ARCHES[machine]))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    if _from_os.prctl(_PR_SET_SECCOMP, 2, program, 0, 0) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _program(fence: dict[str, Any], arch: int, column: int) -> list[_Line]:
    strict = fence.get("strict", True)
    made: list[_Line] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NR)]
    if column == 0:
        made += [(_AT_LEAST, 0, 1, 0x40000000), _refuse(_EPERM)]  # the x32 calls
    for calls, answer in ((_NEVER, _EPERM), (_MISSING, _ENOSYS), *(_FOR_CODE if strict else ())):
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                made += [(_EQUAL, 0, 1, number), _refuse(answer)]
    for numbers, mode, flags in (*_MAKE_FILES, *(() if strict else _CHANGE_MODES)):
        if (number := numbers[column]) is not None:
            made += _when(number, _without_set_id(mode, flags))
    if strict:
        made += _when(_UTIMENSAT[column], _times())
        made += _when(
            _SOCKETPAIR[column], [_word(1), (_AND, 0, 0, 0xF), (_EQUAL, 0, 1, _DATAGRAM), _refuse(_EACCES), _allow()]
        )
    made += _when(_PRLIMIT[column], [_word(0), (_EQUAL, 0, 1, 0), _allow(), _refuse(_EPERM)])
    made += _when(_CLONE[column], [_word(0), (_ANY_BIT, 0, 1, _NAMESPACES), _refuse(_EPERM), _allow()])
    made += _when(_SOCKET[column], _sockets(fence))
    return [*made, _allow()]


_FOR_CODE = ((_NOT_FOR_CODE, _EPERM), (_WITHOUT_EFFECT, 0))


def _without_set_id(mode: int, flags: int | None) -> list[_Line]:
    asked = [_word(mode), (_ANY_BIT, 0, 1, _SET_ID), _refuse(_EPERM), _allow()]
    return asked if flags is None else [_word(flags), (_ANY_BIT, 0, 3, _MAKES), *asked]


def _times() -> list[_Line]:
    """By path it changes the times of any file; of an open one only its own.

    Without times, which is how files are touched, it must not report a success for one that does not exist.
    """
    return [
        *[_word(1), (_EQUAL, 0, 3, 0), _word(1, 4), (_EQUAL, 0, 1, 0), _allow()],
        *[_word(2), (_EQUAL, 0, 3, 0), _word(2, 4), (_EQUAL, 0, 1, 0), _refuse(_EPERM)],
        _refuse(0),
    ]


def _sockets(fence: dict[str, Any]) -> list[_Line]:
    made = [_word(0)]
    if fence.get("unix_sockets"):
        made += [(_EQUAL, 0, 1, _UNIX), _allow()]
    made += [(_EQUAL, 0, 4, _NETLINK), _word(2), (_EQUAL, 0, 1, 0), _allow(), _refuse(_EACCES)]
    if fence["network"] == "open":
        return [*made, (_EQUAL, 0, 1, _INET), _allow(), (_EQUAL, 0, 1, _INET6), _allow(), _refuse(_EACCES)]
    # TCP alone, whose ports Landlock limits.
    made += [(_EQUAL, 1, 0, _INET), (_EQUAL, 0, 4, _INET6), _word(1), (_AND, 0, 0, 0xF), (_EQUAL, 0, 1, _STREAM)]
    return [*made, _allow(), _refuse(_EACCES)]


def _word(argument: int, half: int = 0) -> _Line:
    """Load 32 bits of an argument; both architectures are little-endian."""
    return (_LOAD, 0, 0, 16 + 8 * argument + half)


def _refuse(answer: int) -> _Line:
    return (_RETURN, 0, 0, _REFUSE | answer)


def _allow() -> _Line:
    return (_RETURN, 0, 0, _ALLOW)


def _when(number: int, body: list[_Line]) -> list[_Line]:
    return [(_EQUAL, 0, len(body), number), *body]
