"""Two snapshots of a table compared: PyIceberg reads the files in which they differ, DuckDB compares, no engine."""

from drls_dagster.lakehouse.diff.compare import compare
from drls_dagster.lakehouse.diff.totals import differing
from drls_dagster.lakehouse.diff.version import Version, find_version

__all__ = ["Version", "compare", "differing", "find_version"]
