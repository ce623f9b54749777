"""Operations on a table for programs: started, followed, and answered with their result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from drls_dagster.lifecycle_client import Lifecycle
    from lifecycle.domain.operations import Operation, Result

_LOOK_SECONDS = 0.2


def finished(client: Lifecycle, started: Operation) -> Result:
    """What an operation did, once it has ended. Raises DrlsError where it failed or somebody cancelled it.

    Interrupting the program cancels the operation.
    """
    now = started
    try:
        while not now.state.is_over:
            time.sleep(_LOOK_SECONDS)
            now = client.maintenance.show(now.id)
    except KeyboardInterrupt:
        client.maintenance.cancel(now.id)
        raise
    if now.result is None:
        raise DrlsError(f"operation {now.id} on {now.table} {now.state.value}: {now.error or 'it left no result'}")
    return now.result
