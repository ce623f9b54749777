"""The warm Ray runner: a process that owns one Ray job and does `rayProcess` work for every run.

A Ray job of a step's own would start new workers each time (10 s); this one keeps them. It listens on
loopback, asks for a token (HMAC on both sides), and speaks one JSON request and one JSON reply a connection.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import psutil

from drls_dagster.engine import state as st
from drls_dagster.engine.abandoned import watching
from drls_dagster.engine.door import Door
from drls_dagster.engine.driver import ray_address
from drls_dagster.engine.handover import engine_settings
from drls_dagster.engine.processes import MARK
from drls_dagster.engine.ray_words import words_of
from drls_dagster.engine.ray_work import process, refuse_too_much
from drls_dagster.engine.step_request import ProcessRequest, StepCodeError, StepCrashed
from drls_dagster.errors import DrlsError
from drls_dagster.settings import FenceSettings, Settings
from lifecycle.private_files import write_private


def serve(home: Path) -> None:
    settings = engine_settings(home)
    import ray
    import ray.data

    ray.init(address=os.environ["DRLS_RAY_ADDRESS"], namespace="drls", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    warm_up(ray, settings.fence)
    fixed = ray_address(settings) is None  # another cluster may grow
    token = secrets.token_bytes(32)
    me = psutil.Process()
    door = Door(token, lambda connection: answer(connection, fixed, settings))
    with Listener(("127.0.0.1", 0), backlog=64) as listener:
        runner = st.RunnerState(os.environ[MARK], me.pid, me.create_time(), int(listener.address[1]), token.hex())
        write_private(st.folder(settings) / "runner.json", json.dumps(vars(runner)))
        print(f"{time.strftime('%H:%M:%S')} ready", flush=True)
        door.keep(listener, threading.Event())


def warm_up(ray: Any, fence: FenceSettings) -> None:
    """Start the workers and import what steps need, before the first step waits for it."""
    from drls_dagster.engine.ray_work import touch

    warm = ray.remote(touch)
    ray.get([warm.remote(fence) for _ in range(int(ray.cluster_resources().get("CPU", 1)))])


def answer(connection: Connection, fixed: bool, settings: Settings) -> None:
    """One request and its reply; on a `fixed` cluster what it can never do is refused."""
    import ray

    with connection:
        try:
            request = ProcessRequest.model_validate_json(connection.recv_bytes())
            request = completed(request, settings)
            if fixed:
                refuse_too_much(request, [node["Resources"] for node in ray.nodes() if node["Alive"]])
            reply = work(connection, request)
        except StepCodeError as error:
            reply = {"error": error.message, "code": True, "details": error.details}
        except DrlsError as error:
            reply = {"error": error.message, "code": True, "details": ""}
        except StepCrashed as error:
            reply = {"error": str(error), "code": False, "details": ""}
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001  the caller must hear of whatever went wrong
            reply = {"error": words_of(error), "code": False, "details": traceback.format_exc()}
            print(reply["details"], flush=True)
        try:
            connection.send_bytes(json.dumps(reply).encode())
        except OSError:
            print("the caller went away before its answer", flush=True)


def completed(request: ProcessRequest, settings: Settings) -> ProcessRequest:
    """The request with what the engine decides: the fence, and where its workers put the version's code."""
    code = request.code and request.code.model_copy(update={"root": str(settings.home / "engine" / "code")})
    return request.model_copy(update={"fence": settings.fence, "code": code})


def work(connection: Connection, request: ProcessRequest) -> dict[str, Any]:
    """The reply to a request that succeeds. Raises EOFError, with the work ended, when the caller went away."""
    with watching(connection, request.output, request.ticket) as gone:
        try:
            return {"files": [list(file) for file in process(request)]}
        except Exception:
            if not gone.is_set():
                raise
    print(f"the run of node '{request.node}' has ended: its work was stopped", flush=True)
    raise EOFError


def end_with_parent(parent: int) -> None:
    """The engine's driver started this process; without it there is nobody to serve."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--home", type=Path, required=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    serve(arguments.parse_args().home)


if __name__ == "__main__":
    main()
