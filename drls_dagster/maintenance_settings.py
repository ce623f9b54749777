"""The settings of tables' upkeep: when a table counts as unhealthy, and what runs automatically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from lifecycle.domain.table_health import HealthKind

Mode = Literal["off", "report"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HealthSettings(_Section):
    """From which number on a table loses points. Ten times the number costs the most points that it can.

    The table property `drls.maintenance.health.<name>` says it for one table.
    """

    small_files: float = Field(default=5, gt=0, description="Files that compaction would save; at least 5 % of all")
    size_skew: float = Field(default=20, gt=0, description="Largest data file, in sizes of the median one")
    delete_files: float = Field(default=1, gt=0, description="Delete files; at least 2 % of the data files")
    deleted_rows: float = Field(default=5, gt=0, description="Rows that position deletes hide, in percent")
    snapshots: float = Field(default=100, gt=0, description="Snapshots besides those that other branches and tags hold")
    manifests: float = Field(default=30, gt=0, description="Manifests; at least 2 % of the data files")
    manifest_bytes: float = Field(default=32_000_000, gt=0, description="Bytes of all manifests of the snapshot")
    metadata_bytes: float = Field(default=1_000_000, gt=0, description="Bytes of the table's metadata file")
    partition_skew: float = Field(default=10, gt=0, description="Largest partition, in sizes of the median one")
    sort_drift: float = Field(
        default=3, gt=0, description="Files of a partition that hold a value of the first sort column, on average"
    )
    orphans: float = Field(default=10, gt=0, description="Files that no snapshot needs; counted on request only")

    @property
    def thresholds(self) -> Mapping[HealthKind, float]:
        return {kind: getattr(self, kind.value) for kind in HealthKind}


class MaintenanceSettings(_Section):
    """The upkeep of tables: their health, and what Dagster does about it without being asked."""

    health: HealthSettings = HealthSettings()
    storage_price: float = Field(default=0.023, ge=0, description="Price of one GB of storage for one month")
    currency: str = Field(default="USD", min_length=1, max_length=8, description="Currency of that price")
    history_days: int = Field(default=400, ge=1, description="Days that the history of scores is kept")
    mode: Mode = Field(
        default="report",
        description="What the maintenance job does: nothing (`off`), or `report` and plan",
    )
    schedule: str = Field(default="30 3 * * *", description="When the maintenance job runs (cron); empty: never")
    timezone: str = Field(default="UTC", description="Time zone of that schedule")
    below: int = Field(default=70, ge=0, le=100, description="Score below which the health sensor asks for maintenance")

    @field_validator("schedule", "timezone")
    @classmethod
    def _can_be_kept(cls, given: str, info: ValidationInfo) -> str:
        # Imported here: most settings say nothing of it.
        from lifecycle.spec.clock import Schedule

        if given or info.field_name == "timezone":
            cron = given if info.field_name == "schedule" else "0 0 * * *"
            zone = given if info.field_name == "timezone" else "UTC"
            Schedule(cron=cron, timezone=zone)
        return given
