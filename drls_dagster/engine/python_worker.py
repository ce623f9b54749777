"""What Spark starts as its Python: it fences itself for one Spark session, and becomes Python.

`python -I -S python_worker.py CONFIG arguments…`, through the launcher that python_launcher.py writes. This file
imports the standard library only. Spark Connect has processes of its own for each session, whose id it says in the
environment; they get a private folder, an environment of what is allowed, and nothing of other sessions. However they
end, what they started and their folder go with them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from typing import Any, NoReturn

_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOOK_SECONDS, _IDLE_LOOKS = 20, 3
_CANNOT_CONFINE = 126


def main() -> None:
    with open(sys.argv[1]) as file:
        config = json.load(file)
    enter = _module(config["enter"])
    parent = enter.beside("parent")
    parent.adopt()
    signals = parent.Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    me = os.getpid()
    tmp = tempfile.mkdtemp(prefix="python-", dir=config["tmp"])
    _share(config["fence"]["account"], tmp)
    pid = os.fork()
    if pid == 0:
        signals.forget()
        _become_python(config, enter, tmp, me)
    for descriptor in (0, 1):  # the other end must find the end of the child
        os.close(descriptor)
    status = os.waitstatus_to_exitcode(_wait(pid, parent, signals))
    parent.end_children()
    shutil.rmtree(tmp, ignore_errors=True)
    sys.exit(128 - status if status < 0 else status)


def _share(account: dict[str, Any] | None, tmp: str) -> None:
    """Give the account its folder, and let it read the files that the session was given until now."""
    if account is None:
        return
    os.chown(tmp, account["uid"], account["gid"])
    session = _session_folder()
    if session is None or not os.path.isdir(session):
        return
    below = [os.path.join(place, name) for place, folders, files in os.walk(session) for name in (*folders, *files)]
    for place, rights in ((".", 0o010), *((one, 0o050) for one in (session, *below))):
        if not os.path.islink(place):
            os.chown(place, -1, account["gid"])
            os.chmod(place, os.stat(place).st_mode & 0o700 | (rights if os.path.isdir(place) else 0o040))


def _session_folder() -> str | None:
    session = os.environ.get("SPARK_JOB_ARTIFACT_UUID", "")
    return os.path.join(os.getcwd(), session) if _SESSION.fullmatch(session) else None


def _become_python(config: dict[str, Any], enter: Any, tmp: str, parent: int) -> NoReturn:
    try:
        fence = config["fence"]
        fence["write"].append(tmp)
        session = _session_folder()
        if session is not None:
            fence["read"].append(session)  # files that the session was given
        if "PYTHON_WORKER_FACTORY_PORT" in os.environ:
            fence["ports"].append(int(os.environ["PYTHON_WORKER_FACTORY_PORT"]))  # of Spark, which waits there
        said = {name: os.environ[name] for name in config["spark_environment"] if name in os.environ}
        environment = {**config["environment"], **said, "TMPDIR": tmp, "HOME": tmp, "SPARK_LOCAL_DIRS": tmp}
        enter.confine(fence)
        if os.getppid() != parent:
            os._exit(_CANNOT_CONFINE)  # it ended before this process was bound to its end
        os.execve(config["python"], [config["python"], *sys.argv[2:]], environment)  # noqa: S606  becoming it is the point
    except OSError as error:
        # Never without its fence.
        sys.stderr.write(f"drls: cannot confine Spark's Python: {error}\n")
    finally:
        os._exit(_CANNOT_CONFINE)


def _wait(pid: int, parent: Any, signals: Any) -> int:
    """Pass signals on until Python has ended; its wait status. A daemon of Spark's that has had no worker for a while
    is ended: its session may be over.

    Spark starts another where it needs one.
    """
    idle = 0
    while True:
        came = signals.wait(_LOOK_SECONDS)
        if not came:
            idle = 0 if _children(pid) or "pyspark.daemon" not in sys.argv else idle + 1
            if idle == _IDLE_LOOKS:
                os.kill(pid, signal.SIGTERM)
        for number in came:
            if number != signal.SIGCHLD:
                os.kill(pid, number)
        status = parent.ended(pid)
        if status is not None:
            return status


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _module(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("enter", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
