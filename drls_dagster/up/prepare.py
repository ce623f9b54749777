"""A process that makes Dagster's storage and ends."""

from __future__ import annotations

from drls_dagster.orchestrator.instance import make_storage
from drls_dagster.settings import load_settings

if __name__ == "__main__":
    make_storage(load_settings())
