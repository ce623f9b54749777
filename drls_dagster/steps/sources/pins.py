"""What a source is pinned to, and the error of one that is not there."""

from __future__ import annotations

from typing import Any

from drls_dagster.errors import DrlsError

Pin = dict[str, Any]


class SourceMissing(DrlsError):
    """What a source names is not there, or is not what it was when the run pinned it."""
