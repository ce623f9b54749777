"""Metadata that never became current: what a kill left goes, what somebody is still writing stays."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.stale_versions import remove_stale_versions
from drls_dagster.lakehouse.stored_files import local_path
from drls_dagster.settings import load_settings
from tests.iceberg_tables import make_table


def test_d14_a_cut_off_file_stays_while_a_writer_that_is_behind_may_be_writing_it() -> None:
    make_table("n.t", {"x": [1]}, {"x": [2]}, {"x": [3]})
    table = load_catalog().load_table("n.t")
    current = Path(str(local_path(table.metadata_location)))
    number = current.name.partition("-")[0]
    whole, begun = (current.with_name(f"{number}-{uuid.uuid4()}.metadata.json") for _ in range(2))
    whole.write_bytes(current.read_bytes())  # was written on the same base, and lost
    begun.write_bytes(current.read_bytes()[:100])

    remove_stale_versions(load_settings(), table)
    assert (whole.exists(), begun.exists()) == (False, True)

    old = time.time() - 120
    os.utime(begun, (old, old))
    remove_stale_versions(load_settings(), table)
    assert not begun.exists()
    assert current.exists()
