"""Start Ray without what an engine has no use for, each of which would listen on a port.

The autoscaler's monitor (a machine does not grow), the dashboard's server (not shown) and most of its agent (jobs by
HTTP, metrics, log files). Ray has no options for these: here are all of its private names that this takes.

Run as a script, this file starts Ray's agent as an installation without the dashboard's libraries would.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_DASHBOARD = "ray.dashboard.optional_deps"  # Ray imports it to learn whether there is a dashboard


def start_ray(**options: Any) -> Any:
    """`ray.init` for a new Ray on this machine; what it returns."""
    import ray

    with _lean():
        return ray.init(address="local", include_dashboard=False, log_to_driver=False, **options)


@contextmanager
def _lean() -> Iterator[None]:
    from ray._private import ray_constants, services, utils
    from ray._private.node import Node

    python = services._build_python_executable_command_memory_profileable

    def command(component: str, *arguments: Any, **options: Any) -> list[str]:
        given = python(component, *arguments, **options)
        return [*given, __file__] if component == ray_constants.PROCESS_TYPE_DASHBOARD_AGENT else given

    ours = [
        (Node, "start_monitor", lambda _: None),
        (Node, "start_api_server", lambda _, **__: None),
        (utils, "get_dashboard_dependency_error", lambda: ImportError(_DASHBOARD)),
        (services, "_build_python_executable_command_memory_profileable", command),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in ours]
    try:
        for owner, name, mine in ours:
            setattr(owner, name, mine)
        yield
    finally:
        for owner, name, theirs in before:
            setattr(owner, name, theirs)


if __name__ == "__main__":
    sys.modules[_DASHBOARD] = None  # pyright: ignore[reportArgumentType]  such an import fails
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
