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
import select
import shutil
import signal
import sys
import tempfile
from typing import Any, NoReturn

_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOOK_SECONDS, _IDLE_LOOKS = 20, 3
_CANNOT_CONFINE = 126
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    with open(sys.argv[1]) as file:
        config = json.load(file)
    enter = _module(config["enter"])
    enter.from_os.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    tmp = tempfile.mkdtemp(prefix="python-", dir=config["tmp"])
    pid = os.fork()
    if pid == 0:
        _become_python(config, enter, tmp)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    for descriptor in (0, 1):  # the other end must find the end of the child
        os.close(descriptor)
    status = _wait(pid)
    _sweep()
    shutil.rmtree(tmp, ignore_errors=True)
    sys.exit(128 - status if status < 0 else status)


def _become_python(config: dict[str, Any], enter: Any, tmp: str) -> NoReturn:
    try:
        fence = config["fence"]
        fence["write"].append(tmp)
        session = os.environ.get("SPARK_JOB_ARTIFACT_UUID", "")
        if _SESSION.fullmatch(session):
            fence["read"].append(os.path.join(os.getcwd(), session))  # files that the session was given
        if "PYTHON_WORKER_FACTORY_PORT" in os.environ:
            fence["ports"].append(int(os.environ["PYTHON_WORKER_FACTORY_PORT"]))  # of Spark, which waits there
        said = {name: os.environ[name] for name in config["spark_environment"] if name in os.environ}
        environment = {**config["environment"], **said, "TMPDIR": tmp, "HOME": tmp, "SPARK_LOCAL_DIRS": tmp}
        enter.confine(fence)
        os.execve(config["python"], [config["python"], *sys.argv[2:]], environment)  # noqa: S606  becoming it is the point
    except OSError as error:
        # Never without its fence.
        sys.stderr.write(f"drls: cannot confine Spark's Python: {error}\n")
    finally:
        os._exit(_CANNOT_CONFINE)


def _wait(pid: int) -> int:
    """Python's exit code. A daemon of Spark's that has had no worker for a while is ended: its session may be over.

    Spark starts another where it needs one.
    """
    poll = select.poll()
    poll.register(os.pidfd_open(pid), select.POLLIN)
    idle = 0
    while True:
        if not poll.poll(_LOOK_SECONDS * 1000):
            idle = 0 if _children(pid) or "pyspark.daemon" not in sys.argv else idle + 1
            if idle == _IDLE_LOOKS:
                os.kill(pid, signal.SIGTERM)
        found, status = os.waitpid(-1, os.WNOHANG)
        if found == pid:
            return os.waitstatus_to_exitcode(status)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _sweep() -> None:
    """End what Python left behind: all of it has this process as its parent by and by."""
    while True:
        for child in _children(os.getpid()):
            os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _module(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("enter", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
