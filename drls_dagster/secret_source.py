"""Credentials that settings name and never hold."""

from __future__ import annotations

import os
from pathlib import Path

from drls_dagster.errors import DrlsError, UsageError


def read_secret(setting: str, source: str) -> str:
    """The secret at `source`: `env:NAME` or `file:/path`. Raises DrlsError naming the setting, never the value."""
    kind, _, place = source.partition(":")
    if not place or kind not in {"env", "file"}:
        raise UsageError(f"{setting} must be env:NAME or file:/path, never the value itself")
    if kind == "env":
        if value := os.environ.get(place):
            return value
        raise DrlsError(f"{setting}: the environment variable {place} is not set")
    try:
        value = Path(place).expanduser().read_text().strip()
    except OSError as error:
        raise DrlsError(f"{setting}: cannot read {place}: {error.strerror}") from None
    if not value:
        raise DrlsError(f"{setting}: {place} is empty")
    return value
