"""The turn of a run: one at a time per pipeline and environment (L10)."""

from __future__ import annotations

import time
from collections.abc import Callable

from drls_dagster.runs.client import RunClient
from lifecycle.domain.run import Admission
from lifecycle.errors import Conflict

POLL_SECONDS = 1.0
RECONCILE_SECONDS = 15.0


def begin(runs: RunClient, log: Callable[[str], None]) -> Admission:
    """Waits until the run is the next of its pipeline and environment, and begins it; begun before, that.

    Raises GateRefused when it was revoked, also while it waits.
    """
    told = ""
    looked = time.monotonic()
    while True:
        try:
            start = runs.start()
        except Conflict:
            start = None
        if start is not None and not start.waits_for:
            return start.admission
        if start is not None and start.waits_for != told:
            told = start.waits_for
            log(f"{runs.pipeline} waits in {runs.environment.label} until run {told} ends")
        if time.monotonic() - looked > RECONCILE_SECONDS:
            # The run that goes first may have died without saying so.
            runs.look_for_dead_runs()
            looked = time.monotonic()
        time.sleep(POLL_SECONDS)
