"""Errors whose text is all that Dagster logs of them."""

from __future__ import annotations

from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo
