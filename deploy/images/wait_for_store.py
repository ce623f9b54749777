"""Waits until the databases have this DRLS's schema and a first account: until this release's Job `migrate` is done.

Exits with 1 after `wait_for_store.py SECONDS` (default 600); Kubernetes starts it again.
"""

from __future__ import annotations

import sys
import time

from drls_dagster.ledger import check_ledger
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.opening import open_existing
from drls_dagster.settings import load_settings
from lifecycle.errors import DrlsError, StoreError
from lifecycle.store.schema import SchemaState


def main() -> int:
    until = time.monotonic() + float(sys.argv[1] if len(sys.argv) > 1 else 600)
    settings = load_settings()
    told = ""
    while True:
        try:
            open_existing(settings, Adapters()).store.close()
            where, state = check_ledger(settings)
            if state is not SchemaState.CURRENT:
                raise StoreError(f"the ledger of runs, {where}, is {state.value}")
        except DrlsError as error:
            if time.monotonic() > until:
                print(f"gave up: {error}", file=sys.stderr)
                return 1
            if told != str(error):
                told = str(error)
                print(f"waiting: {told}", file=sys.stderr, flush=True)
            time.sleep(2)
        else:
            return 0


if __name__ == "__main__":
    sys.exit(main())
