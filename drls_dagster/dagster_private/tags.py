"""Run tags that Dagster sets and reads itself."""

from __future__ import annotations

from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    ASSET_RESUME_RETRY_TAG,
    BACKFILL_ID_TAG,
    HIDDEN_TAG_PREFIX,
    PARTITION_NAME_TAG,
    PRIORITY_TAG,
    REPORTING_USER_TAG,
    RESUME_RETRY_TAG,
    RETRY_NUMBER_TAG,
    RUN_KEY_TAG,
    USER_TAG,
)
