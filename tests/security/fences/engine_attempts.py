"""What code in the engine's own processes tries: in Spark's JVMs, as a jar of a session has it, or a script of SQL.

Such code has the rights of the engine, and no filter of a pipeline's code is around it. `attempts(aims)` answers by
name: None where the machine refused, else what was got. Its text runs there, so it uses the standard library only.
`aims` are {"sockets": [paths], "outside": {name: path}, "jars": path, "own": a folder of the engine's, "engine": where
its sockets are, "pids": {name: pid}, "shared": a file of another program in /dev/shm}.
"""

import ctypes
import json
import os
import platform
import socket
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
# Numbers of system calls that have no function in the C library; the last two differ by architecture.
PIDFD_OPEN, PIDFD_GETFD, BPF = 434, 438, {"x86_64": 321, "aarch64": 280}
IO_URING_SETUP, OPEN_TREE, OPENAT2, FCHMODAT2 = 425, 428, 437, 452
KEYCTL = {"x86_64": 250, "aarch64": 219}
PERF_EVENT_OPEN, USERFAULTFD = {"x86_64": 298, "aarch64": 241}, {"x86_64": 323, "aarch64": 282}
SET_ID = 0o6000


def attempts(aims):
    said = {}
    for path in aims["sockets"]:
        said |= {f"connect to {path}": got(connected, path), f"send to {path}": got(sent, path)}
    for name, path in aims["outside"].items():
        said |= {f"{how} {name}": got(try_it, path) for how, try_it in OF_A_FILE.items()}
    for name, pid in aims["pids"].items():
        said |= {f"{how} of {name}": got(try_it, pid) for how, try_it in OF_A_PROCESS.items()}
    for how, try_it in SET_ID_FILES.items():
        said[f"a set-user-ID file, by {how}"] = got(set_id, try_it, os.path.join(aims["own"], "set-id-" + how))
    for name in sorted(os.listdir(aims["jars"])):
        said |= {f"{how} {name}": got(try_it, os.path.join(aims["jars"], name)) for how, try_it in OF_A_JAR.items()}
    said["put a jar there"] = got(made, os.path.join(aims["jars"], "made-by-a-pipeline.jar"))
    return said | {how: got(try_it, aims) for how, try_it in OF_THE_MACHINE.items()}


def got(try_it, *given):
    try:
        found = try_it(*given)
    except (OSError, LookupError, subprocess.SubprocessError):
        return None
    return None if found is None or found is False else repr(found)[:300]


def checked(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return answer


# Unix sockets


def connected(path):
    with socket.socket(socket.AF_UNIX) as made_socket:
        made_socket.settimeout(5)
        made_socket.connect(path)
        return path


def sent(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made_socket:
        made_socket.connect(path)
        return path


# Files outside of the fence


def read(path):
    with open(path, "rb") as file:
        return file.read(10)


def changed(attribute, act, path):
    before = getattr(os.stat(path), attribute)
    act(path)
    return getattr(os.stat(path), attribute) != before


OF_A_FILE = {
    "read": read,
    "see": os.path.lexists,
    "change the mode of": lambda path: changed("st_mode", lambda one: os.chmod(one, 0o666), path),  # noqa: S103
    "change the owner of": lambda path: changed("st_uid", lambda one: os.chown(one, 12345, -1), path),
    "change the times of": lambda path: changed("st_mtime", lambda one: os.utime(one, (1, 1)), path),
    "mark": lambda path: os.setxattr(path, "user.made-by-a-pipeline", b"1") or path,
}

# Other processes


def command(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read()


def copied(pid):
    into = ctypes.create_string_buffer(16)
    number = {"x86_64": 310, "aarch64": 270}[platform.machine()]
    vector = ctypes.create_string_buffer(bytes(ctypes.c_uint64(ctypes.addressof(into))) + bytes(ctypes.c_uint64(16)))
    answer = LIBC.syscall(number, pid, vector, 1, vector, 1, 0)
    # Of the memory of others it does not know where any is, which is another error than a refusal.
    if answer < 0 and ctypes.get_errno() == 14:
        return "asked"
    return checked(answer)


OF_A_PROCESS = {
    "the command": command,
    "the memory": copied,
    "a trace": lambda pid: checked(LIBC.ptrace(0x4206, pid, None, None)) == 0,
    "a descriptor": lambda pid: checked(LIBC.syscall(PIDFD_GETFD, checked(LIBC.syscall(PIDFD_OPEN, pid, 0)), 0, 0)),
    "the root": lambda pid: os.listdir(f"/proc/{pid}/root/"),
    "a signal": lambda pid: os.kill(pid, 0) is None,
    "the limits": lambda pid: checked(LIBC.prlimit(pid, 7, None, ctypes.create_string_buffer(16))) == 0,
}

# Files that run with the rights of their owner or group


def set_id(make, path):
    try:
        make(path)
        return oct(os.stat(path).st_mode) if os.stat(path).st_mode & SET_ID else None
    finally:
        if os.path.lexists(path):
            os.unlink(path)


def made(path, mode=0o700):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    return path


def then(change):
    return lambda path: (made(path), change(path))


def by_descriptor(path):
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(opened, 0o4755)
    finally:
        os.close(opened)


def by_openat2(path):
    """Its mode lies in memory, as struct open_how {flags, mode, resolve}."""
    how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    checked(LIBC.syscall(OPENAT2, -100, path.encode(), how, 24))


def without_a_name(path):
    opened = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY, 0o4755)
    checked(LIBC.linkat(-100, f"/proc/self/fd/{opened}".encode(), -100, path.encode(), 0x400))


SET_ID_FILES = {
    "chmod": then(lambda path: os.chmod(path, 0o4755)),  # noqa: S103
    "chmod of the group": then(lambda path: os.chmod(path, 0o2755)),  # noqa: S103
    "fchmod": then(by_descriptor),
    "fchmodat2": then(lambda path: checked(LIBC.syscall(FCHMODAT2, -100, path.encode(), 0o4755, 0))),
    "the command": then(lambda path: subprocess.run(["chmod", "u+s", path], check=True, capture_output=True)),
    "open": lambda path: made(path, 0o4755),
    "creat": lambda path: checked(LIBC.creat(path.encode(), 0o4755)),
    "openat2": by_openat2,
    "O_TMPFILE": without_a_name,
    "mknod": lambda path: os.mknod(path, 0o104755),
}

# What the next engine loads


def opened(path):
    with open(path, "r+b"):
        return path


def replaced(path):
    os.rename(path, path + "-moved")
    os.rename(path + "-moved", path)
    return path


OF_A_JAR = {"write into": opened, "move away": replaced, "mark": OF_A_FILE["mark"]}

# The machine


def family(number, kind=socket.SOCK_DGRAM):
    def tried(_):
        answer = checked(LIBC.socket(number, kind, 0))
        os.close(answer)
        return "made"

    return tried


def asks_for(number, *given):
    """Whether a call gets through to the kernel, whatever it says of what it was given."""

    def tried(_):
        ctypes.set_errno(0)
        answer = LIBC.syscall(number, *given)
        return "asked" if answer >= 0 or ctypes.get_errno() not in (1, 13, 38) else None

    return tried


def strangers_sockets(aims):
    """All that the kernel lists, but for those of the engine."""
    with open("/proc/net/unix") as file:
        names = {line.split()[-1] for line in list(file)[1:] if len(line.split()) == 8}
    # Python's fork servers end when somebody connects and says nothing, and one may be another test's.
    others = [name for name in sorted(names) if not name.startswith(aims["engine"]) and "/pymp-" not in name]
    return [name for name in others if reached(name)] or None


def reached(name):
    address = "\0" + name[1:] if name.startswith("@") else name
    return got(connected, address) or got(sent, address)


OF_THE_MACHINE = {
    "any other Unix socket": strangers_sockets,
    "a namespace": lambda _: checked(LIBC.unshare(0x10000000)) == 0,
    "a mount": lambda aims: checked(LIBC.mount(b"/", aims["own"].encode(), None, 4096, None)) == 0,
    "a copy of a mount": asks_for(OPEN_TREE, -100, b"/", 1),
    "another root": lambda aims: os.chroot(aims["own"]) is None,
    "the kernel's keys": asks_for(KEYCTL[platform.machine()], 0, -3, 0),
    "a program for the kernel": asks_for(BPF[platform.machine()], 0, None, 0),
    "the kernel's counters": asks_for(PERF_EVENT_OPEN[platform.machine()], None, 0, -1, -1, 0),
    "the faults of memory": asks_for(USERFAULTFD[platform.machine()], 1),
    "io_uring": asks_for(IO_URING_SETUP, 1, None),
    "a packet socket": family(17),
    "a socket to the hypervisor": family(40, socket.SOCK_STREAM),
    "a socket of the kernel's ciphers": family(38, socket.SOCK_SEQPACKET),
    "the audit of the kernel": lambda _: socket.socket(16, socket.SOCK_RAW, 9).fileno(),
    "shared memory of others": lambda aims: os.path.exists(aims["shared"]),
}

if __name__ == "__main__":
    import sys

    with open(sys.argv[1]) as file:
        print(json.dumps(attempts(json.load(file))))
