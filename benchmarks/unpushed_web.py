"""The web of `drls up`, which tells nobody that a deployment has changed: the sensor has to find out."""

from __future__ import annotations

from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.up.web import serve

if __name__ == "__main__":
    # As an installation whose app cannot reach Dagster.
    DagsterOrchestrator.deployments_changed = lambda self, environment: None
    serve.main()
