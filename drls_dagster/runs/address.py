"""Where the run service is, and the names under which a process is told."""

from __future__ import annotations

# Set where the run service is: by `drls up` for its processes, by the launcher for a pod, with the token.
URL_VARIABLE = "DRLS_RUN_URL"
TOKEN_VARIABLE = "DRLS_RUN_TOKEN"  # noqa: S105
PATH = "/api/runs"
RUN_SERVICE = "run-service"  # among the processes of `drls up`
UNIX = "unix:"
