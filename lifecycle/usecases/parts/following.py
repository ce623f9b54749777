"""What follows a change that is recorded. When it fails, the change remains, and a sensor does it later."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lifecycle.domain.environment import Environment
from lifecycle.outages import is_outage, told
from lifecycle.usecases.context import Context

_LOG = logging.getLogger(__name__)


def follow(what: str, act: Callable[[], object]) -> str:
    """Does what follows; why it failed, or nothing. Never raises: the caller's answer is that of the change."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 (whatever it is, what is recorded stays recorded)
        log = _LOG.warning if is_outage(error) else _LOG.error
        log("%s failed: %s", what, told(error), exc_info=error)
        return told(error)
    return ""


def reload(ctx: Context, *environments: Environment) -> None:
    """Says that what is active there is another by now; the deployments sensor catches what this missed."""
    for environment in environments:
        follow(
            f"asking for a reload of {environment.label}",
            lambda environment=environment: ctx.orchestrator.deployments_changed(environment),
        )
