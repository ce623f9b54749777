"""What the code of a pipeline tries against the platform that runs it, and against everybody else on the machine.

Its text is a part of attacking pipelines, so it uses the standard library only. `attempts(aims)` answers by name: None
where the machine refused, else what was got. `aims` are {"files": {name: path}, "folders": {name: path}, "ports":
{name: port}, "terminal": path, "pids": {name: pid}}; whatever the code can find out by itself, it finds out by itself.
"""

import ctypes
import json
import os
import signal
import socket
import sqlite3
import struct
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
PIDFD_OPEN, PIDFD_GETFD, PIDFD_SEND_SIGNAL = 434, 438, 424
PROCESS_VM_READV = {"x86_64": 310, "aarch64": 270}[os.uname().machine]


def attempts(aims):
    said = {}
    for name, path in aims["files"].items():
        said |= {f"{how} {name}": got(try_it, path) for how, try_it in OF_A_FILE.items()}
    for name, path in aims["folders"].items():
        said |= {f"{how} {name}": got(try_it, path) for how, try_it in OF_A_FOLDER.items()}
    for name, pid in aims["pids"].items():
        tries = {f"{how} of {name}": (try_it, (pid, aims)) for how, try_it in OF_A_PROCESS.items()}
        said |= {how: got(try_it, *given) for how, (try_it, given) in tries.items()}
    said |= {how: got(try_it, aims) for how, try_it in OF_THE_MACHINE.items()}
    return said


def got(try_it, *given):
    try:
        found = try_it(*given)
    except (OSError, sqlite3.Error, LookupError):
        return None
    return None if found is None or found is False else repr(found)[:300]


def checked(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return answer


# Files


def read(path):
    with open(path, "rb") as file:
        return file.read(200)


def append(path):
    with open(path, "ab"):
        return "opened"


def through_a_link(path):
    link = os.path.join(tempfile.mkdtemp(), "link")
    os.symlink(path, link)
    return read(link)


def through_another_name(path):
    name = os.path.join(tempfile.mkdtemp(), "name")
    os.link(path, name)
    return read(name)


def through_the_root_of_this_process(path):
    return read("/proc/self/root" + path)


def change_its_mode(path):
    before = os.stat(path).st_mode
    os.chmod(path, 0o666)  # noqa: S103  what it tries
    changed = os.stat(path).st_mode != before
    os.chmod(path, before & 0o7777)
    return changed


def change_the_store(path):
    if not path.endswith(".db"):
        return None
    with sqlite3.connect(f"file:{path}?mode=rw", uri=True) as store:
        return store.execute("SELECT name FROM sqlite_master").fetchall()


OF_A_FILE = {
    "read": read,
    "append to": append,
    "read, by a link,": through_a_link,
    "read, by another name,": through_another_name,
    "read, by /proc/self/root,": through_the_root_of_this_process,
    "change the mode of": change_its_mode,
    "query": change_the_store,
}


def make_a_file(path):
    made = os.path.join(path, "made-by-a-pipeline")
    with open(made, "w"):
        pass
    os.unlink(made)
    return made


def move_it_away(path):
    os.rename(path, path + "-moved")
    os.rename(path + "-moved", path)
    return path


OF_A_FOLDER = {"list": os.listdir, "make a file in": make_a_file, "move away": move_it_away}

# Other processes


def signalled(pid, _):
    os.kill(pid, 0)
    return pid


def signalled_by_descriptor(pid, _):
    checked(LIBC.syscall(PIDFD_SEND_SIGNAL, checked(LIBC.syscall(PIDFD_OPEN, pid, 0)), 0, None, 0))
    return pid


def traced(pid, _):
    checked(LIBC.ptrace(PTRACE_SEIZE, pid, None, None))
    LIBC.ptrace(PTRACE_DETACH, pid, None, None)
    return pid


def memory_copied(pid, _):
    with open(f"/proc/{pid}/maps") as maps:
        start = int(maps.readline().split("-")[0], 16)
    into = ctypes.create_string_buffer(16)
    ours, theirs = struct.pack("PN", ctypes.addressof(into), 16), struct.pack("PN", start, 16)
    checked(LIBC.syscall(PROCESS_VM_READV, pid, ours, 1, theirs, 1, 0))
    return into.raw


def descriptor_taken(pid, _):
    return checked(LIBC.syscall(PIDFD_GETFD, checked(LIBC.syscall(PIDFD_OPEN, pid, 0)), 0, 0))


def environment(pid, _):
    return read(f"/proc/{pid}/environ")


def memory(pid, _):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        mem.seek(int(maps.readline().split("-")[0], 16))
        return mem.read(16)


def descriptors(pid, _):
    return [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]


def folder(pid, _):
    return os.listdir(f"/proc/{pid}/cwd")


def root(pid, aims):
    return read(f"/proc/{pid}/root{aims['files']['the secret']}")


def limits(pid, _):
    import resource

    return resource.prlimit(pid, resource.RLIMIT_NOFILE)


OF_A_PROCESS = {
    "signal": signalled,
    "signal by descriptor": signalled_by_descriptor,
    "ptrace": traced,
    "process_vm_readv": memory_copied,
    "pidfd_getfd": descriptor_taken,
    "environ": environment,
    "mem": memory,
    "fd": descriptors,
    "cwd": folder,
    "root": root,
    "limits": limits,
}

# The machine


def others():
    """Processes that are neither this one, nor of its making, nor the one that made it: that is inside its fence."""
    with open("/proc/self/stat") as stat:
        own = {int(stat.read().rpartition(")")[2].split()[1])}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with open(f"/proc/{pid}/stat") as stat:
            parent = int(stat.read().rpartition(")")[2].split()[1])
        if pid == int(os.readlink("/proc/self")) or parent in own:
            own.add(pid)
        elif pid not in own:
            yield pid


def any_environment(_):
    """The variables of any other process; those of the kernel's own are empty."""
    found = []
    for pid in others():
        try:
            found += [f"{pid}: {len(text)} letters"] if (text := read(f"/proc/{pid}/environ")) else []
        except OSError:
            continue
    return found or None


def any_signal(_):
    """By its number; in a namespace of its own no process outside has one."""
    found = []
    for pid in others() if os.getpid() == int(os.readlink("/proc/self")) else ():
        try:
            os.kill(pid, 0)
            found.append(pid)
        except OSError:
            continue
    return found or None


def any_socket(_):
    """Unix sockets in the file system, and those without a name in it.

    Not those of Python's fork servers: one of another test ends when somebody connects and says nothing.
    """
    with open("/proc/net/unix") as file:
        names = {line.split()[-1] for line in list(file)[1:] if len(line.split()) == 8}
    found = []
    for name in (one for one in names if "/pymp-" not in one):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(socket.AF_UNIX, kind) as made:
                    made.settimeout(2)
                    made.connect("\0" + name[1:] if name.startswith("@") else name)
                    found.append(name)
            except OSError:
                continue
    return found or None


def a_gateway_without_a_token(aims):
    """Py4J, as its own client would ask for a system property."""
    found = []
    for name, port in aims["ports"].items():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as made:
                made.sendall(b"c\nz:java.lang.System\ngetProperty\nsjava.version\ne\n")
                if made.recv(100).startswith(b"!ys"):
                    found.append(name)
        except OSError:
            continue
    return found or None


def its_own_variables(_):
    """What it was given that opens anything."""
    with open("/proc/self/environ") as file:
        names = {line.split("=")[0] for line in file.read().split("\0")} | set(os.environ)
    secret = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "_KEY", "DRLS_HOME", "DAGSTER_HOME", "DRLS_URL")
    names.discard("PYTHON_WORKER_FACTORY_SECRET")  # with which a worker of Spark is known to Spark
    return [name for name in sorted(names) if any(word in name.upper() for word in secret)] or None


def its_own_descriptors(_):
    """Files that it inherited and that are none of its own, but for where it prints to."""
    found = []
    for name in set(os.listdir("/proc/self/fd")) - {"0", "1", "2"}:
        try:
            aim = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        own = ("/dev/", "/proc/", tempfile.gettempdir())
        if aim.startswith("/") and not aim.startswith(own) and "/.host-" not in aim:  # where a Ray step writes its rows
            found.append(aim)
    return found or None


def a_terminal(aims):
    """What somebody types in a terminal of this account."""
    with open(aims["terminal"], "rb+", buffering=0) as terminal:
        return terminal.name


def shared_memory(_):
    """The folder that has Ray's objects of everybody."""
    return os.listdir("/dev/shm")  # noqa: S108


def a_new_namespace(_):
    return checked(LIBC.unshare(0x10000000)) == 0


def a_mount(_):
    folder = tempfile.mkdtemp()
    return checked(LIBC.mount(b"/", folder.encode(), None, 4096, None)) == 0


def a_device(_):
    name = os.path.join(tempfile.mkdtemp(), "memory")
    os.mknod(name, 0o600 | 0o020000, os.makedev(1, 1))
    return read(name)


def a_file_with_its_owners_rights(_):
    """Which another account, that waits for it, would execute."""
    name = os.path.join(tempfile.mkdtemp(), "set-user-id")
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o4755))
    os.chmod(name, 0o4755)  # noqa: S103  what it tries
    return os.stat(name).st_mode & 0o6000 or None


def the_kernel(_):
    for name in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/power/state"):
        try:
            with open(name, "r+"):
                return name
        except OSError:
            continue
    return None


def another_account(_):
    os.setuid(12345)
    return True


def more_rights(_):
    """Rights of root that are left."""
    with open("/proc/self/status") as file:
        given = {line.split(":")[0]: line.split()[1] for line in file if line.startswith("Cap")}
    return [name for name in ("CapPrm", "CapEff") if int(given[name], 16)] or None


def a_later_start(_):
    """Files that the platform's Python, or a login, would execute."""
    import site
    import sysconfig

    home = os.path.expanduser("~root")
    places = [
        *site.getsitepackages(),
        sysconfig.get_path("stdlib"),
        home,
        "/etc",
        "/etc/cron.d",
        "/usr/local/bin",
        "/usr/bin",
    ]
    found = []
    for place in places:
        try:
            found.append(make_a_file(place))
        except OSError:
            continue
    return found or None


OF_THE_MACHINE = {
    "the variables of any process": any_environment,
    "signal any process": any_signal,
    "connect to any Unix socket": any_socket,
    "a gateway without a token": a_gateway_without_a_token,
    "secrets among its own variables": its_own_variables,
    "files that it inherited": its_own_descriptors,
    "a terminal": a_terminal,
    "shared memory": shared_memory,
    "a new namespace": a_new_namespace,
    "a mount": a_mount,
    "a device": a_device,
    "a file with its owner's rights": a_file_with_its_owners_rights,
    "the kernel": the_kernel,
    "another account": another_account,
    "rights of root": more_rights,
    "what starts later": a_later_start,
}

if __name__ == "__main__":
    import sys

    signal.alarm(120)
    print(json.dumps(attempts(json.loads(sys.argv[1]))))
