"""What only tests and benchmarks use, to do what Dagster's daemon, code server and run worker do."""

from __future__ import annotations

from dagster._core.definitions.metadata.metadata_value import CodeLocationReconstructionMetadataValue
from dagster._core.definitions.repository_definition import RepositoryLoadData
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.definitions.sensor_definition import DEFAULT_SENSOR_DAEMON_INTERVAL
from dagster._core.definitions.utils import DISALLOWED_NAMES
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.plan.resume_retry import ReexecutionStrategy
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, SensorInstigatorData, TickStatus
from dagster._core.snap import snapshot_from_execution_plan
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._daemon.asset_daemon import AssetDaemon
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster_graphql.schema import create_schema
from dagster_graphql.test.utils import execute_dagster_graphql
from dagster_shared.serdes.objects import EnvRegistryKey
