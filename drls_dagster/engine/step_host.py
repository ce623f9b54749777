"""A step host: the fenced process in which the function of one `rayProcess` step runs.

It is forked from a zygote (step_zygote.py) by a Ray worker (step_hosts.py), serves the parts of one step that this
worker is given, and says in JSON what became of each. Rows pass through files; the Ray worker reads nothing else of it.
"""

from __future__ import annotations

import importlib.machinery
import socket
import sys
import traceback
import types
from collections.abc import Sequence
from typing import Any

from drls_dagster.engine.framing import receive, send
from drls_dagster.engine.step_part import write_file
from drls_dagster.engine.step_request import ProcessRequest, StepCodeError

TOLD = 50_000  # letters of a traceback
NO_RAY = (
    "process() cannot start Ray tasks or actors: its fence keeps it away from the cluster. Raise the step's "
    "resources.concurrency instead; without a fence (fence.mode = off) Ray can be used"
)


def serve(channel: socket.socket) -> None:
    """Answer until the Ray worker hangs up."""
    reseed()
    sys.meta_path.insert(0, NoRay())
    try:
        request = ProcessRequest.model_validate(receive(channel))
        while True:
            asked = receive(channel)
            send(channel, answer(asked["paths"], asked["target"], request))
    except EOFError:
        return


def answer(paths: list[str], target: str, request: ProcessRequest) -> dict[str, Any]:
    try:
        return {"rows": write_file(paths, target, request)}
    except StepCodeError as error:
        return {"error": error.message, "details": error.details[-TOLD:]}
    except Exception as error:  # noqa: BLE001  whoever asked must hear of whatever went wrong
        where = f"node '{request.node}': {type(error).__name__}: {' '.join(str(error).split())}"
        return {"error": where[:TOLD], "details": traceback.format_exc()[-TOLD:]}


def reseed() -> None:
    """Python seeds its own generator again in a forked process; NumPy does not."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


class NoRay:
    """Finds `ray` for whatever imports it, but for its way into a cluster, which would hang or fail obscurely."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "ray":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                module.init = refuse_ray  # pyright: ignore[reportAttributeAccessIssue]

            loader.exec_module = exec_module
        return spec


def refuse_ray(*_: Any, **__: Any) -> None:
    raise RuntimeError(NO_RAY)
