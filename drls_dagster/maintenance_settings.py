"""The settings of tables' upkeep: when a table counts as unhealthy, and what runs automatically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from lifecycle.domain.table_health import HealthKind

if TYPE_CHECKING:
    from lifecycle.domain.windows import Window

Mode = Literal["off", "report", "auto"]


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
        description="What the maintenance job does: nothing (`off`), plan and `report`, or `auto`: compact, rewrite "
        "manifests and expire where it is needed",
    )
    compact: Mode | None = Field(default=None, description="The same for compaction alone; default: as `mode` says")
    manifests: Mode | None = Field(default=None, description="The same for manifests alone; default: as `mode` says")
    expire: Mode | None = Field(default=None, description="The same for old snapshots alone; default: as `mode` says")
    orphans: Mode | None = Field(
        default=None,
        description="The same for orphan files alone, which `auto` removes; default: as `mode` says, at most `report`",
    )
    strategy: Literal["binpack", "sort"] = Field(
        default="binpack",
        description="How the maintenance job compacts: `binpack`, or `sort` for each table that has a sort order",
    )
    spark_above: int = Field(
        default=1 << 40,
        ge=0,
        description="Bytes above which Spark on the engine compacts a table; less is done without Spark, which is "
        "quicker on one machine",
    )
    windows: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="When production's tables are maintained automatically: windows as in a policy, at least one of "
        'them with `effect = "allow"`',
    )
    schedule: str = Field(default="30 3 * * *", description="When the maintenance job runs (cron); empty: never")
    timezone: str = Field(default="UTC", description="Time zone of that schedule")
    below: int = Field(default=70, ge=0, le=100, description="Score below which the health sensor asks for maintenance")

    @field_validator("windows")
    @classmethod
    def _can_be_read(cls, given: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        windows_of(given)
        return given

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


def windows_of(given: tuple[dict[str, Any], ...]) -> tuple[Window, ...]:
    """The windows of a setting. Raises ValueError for one that cannot be read."""
    # Imported here: most settings say nothing of it.
    from lifecycle.domain.windows import Window

    found: list[Window] = []
    for number, one in enumerate(given, 1):
        try:
            found.append(Window.model_validate(one))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = "".join(f"{part}: " for part in first["loc"])
            raise ValueError(f"window {number}: {where}{first['msg']}") from None
    return tuple(found)
