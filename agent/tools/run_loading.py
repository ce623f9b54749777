"""Waiting until Dagster has loaded the version that is active: a reload after a promotion takes seconds."""

from __future__ import annotations

import time

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from lifecycle.domain.environment import Environment
from lifecycle.errors import Forbidden, NotFound

LONGEST = 60.0  # seconds
_LOOK_SECONDS = 0.5


def await_loaded(call: ToolCall, pipeline: str, environment: Environment, *, longest: float = LONGEST) -> None:
    """Returns at once for what is not active there, and where a code location never says what it has loaded.

    Raises ToolError when it takes longer than `longest` seconds.
    """
    environments = call.lifecycle.environments
    until = time.monotonic() + longest
    while True:
        try:
            active = environments.active(environment, pipeline=pipeline)
        except (NotFound, Forbidden):
            return  # Dagster's answer will be the same for both
        loaded = environments.loaded(environment)
        if not active or loaded is None or loaded.get(pipeline) == active[0].digest:
            return
        what = f"v{active[0].version} of {pipeline} in {environment.label}"
        if call.client.cancelled or time.monotonic() > until:
            raise ToolError(f"Dagster has not loaded {what} yet", hint="try again in a minute; drls status says more")
        call.client.progress(0, None, f"waiting for Dagster to load {what}")
        time.sleep(_LOOK_SECONDS)
