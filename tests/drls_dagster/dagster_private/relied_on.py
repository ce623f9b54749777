"""What DRLS relies on for each private name of Dagster, and what to look at when Dagster moves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Relied:
    """`look`: what to read in the new Dagster, besides the test.

    `call`: parameters that we pass. `has`: attributes and methods that we use. `value`: what a constant must be, as
    text: stored runs have it, or somebody else reads it.
    """

    look: str
    call: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    value: str | None = None


def _tag(value: str, look: str) -> Relied:
    return Relied(look, value=value)


_RANGE = "a run of a range of partitions carries both tags: a backfill, a launch from the UI, and our own `drls run`"
_RESUME = "which tag `re-execute from failure` sets: run_key follows it, and D7 rests on that"
_STANDARD = "how the daemon calls it; tests do the same in their own process"
_REBUILD = "how a run worker builds a code location again (test_code_locations.py does the same)"

RELIED: dict[str, Relied] = {
    "tags.ASSET_PARTITION_RANGE_END_TAG": _tag("dagster/asset_partition_range_end", _RANGE),
    "tags.ASSET_PARTITION_RANGE_START_TAG": _tag("dagster/asset_partition_range_start", _RANGE),
    "tags.ASSET_RESUME_RETRY_TAG": _tag("dagster/is_asset_resume_retry", _RESUME),
    "tags.BACKFILL_ID_TAG": _tag(
        "dagster/backfill", "who sets it: a backfill's signature is worth something only for its runs"
    ),
    "tags.HIDDEN_TAG_PREFIX": _tag(
        ".dagster/", "no page and no GraphQL answer shows tags of this prefix, or signatures leak"
    ),
    "tags.PARTITION_NAME_TAG": _tag("dagster/partition", "a run of one partition carries it"),
    "tags.PRIORITY_TAG": _tag("dagster/priority", "the run queue reads it; the coordinator resets it"),
    "tags.REPORTING_USER_TAG": _tag("dagster/reporting_user", "events that people report carry it"),
    "tags.RESUME_RETRY_TAG": _tag("dagster/is_resume_retry", _RESUME),
    "tags.RETRY_NUMBER_TAG": _tag(
        "dagster/retry_number", "only Dagster's own retries carry it: such a run keeps the first one's signature"
    ),
    "tags.RUN_KEY_TAG": _tag("dagster/run_key", "a run that a sensor started carries the key that the sensor gave"),
    "tags.USER_TAG": _tag("user", "lists of runs show it as who launched the run"),
    "instance.InstanceRef": Relied(
        "the reference that other processes get must stay Dagster's own",
        has=("from_dir", "_replace", "storage_data", "compute_logs_data", "custom_instance_class_data"),
    ),
    "instance.ConfigurableClassData": Relied(
        "a class is named by module and name, with its configuration as YAML",
        call=("module_name", "class_name", "config_yaml"),
        has=("_replace", "module_name", "class_name"),
    ),
    "code_servers.main": Relied("`python -m dagster` calls it: the command line, which reads sys.argv"),
    "code_servers.server": Relied(
        "its open_server_process calls open_ipc_subprocess by that name of this module, with the command first, and asks "
        "what it gets for poll, terminate, wait and returncode",
        has=("open_server_process", "open_ipc_subprocess"),
    ),
    "code_servers.open_ipc_subprocess": Relied("what the code server calls where no warm host is", call=("parts",)),
    "executing.EngineEventData": Relied("what a run's process says when it starts", has=("in_process",)),
    "executing.capture_interrupts": Relied("in it SIGINT ends a run with an event, as the code server's processes do"),
    "executing.core_execute_run": Relied(
        "how dagster._grpc.impl._run_in_subprocess calls it: our forks execute a run the same way, and what it raises is "
        "in the event log before",
        call=("recon_job", "dagster_run", "instance", "inject_env_vars"),
    ),
    "executing.get_run_crash_explanation": Relied(
        "what the code server says of a process that ended before its run", call=("prefix", "exit_code")
    ),
    "executing.recon_job_from_origin": Relied("how `dagster api execute_run` finds a run's job"),
    "launching.CodePointer": Relied("where a code location is loaded from; its kinds"),
    "launching.ModuleCodePointer": Relied("`-m MODULE -a NAME` of a code server is one", has=("module",)),
    "launching.PackageCodePointer": Relied("`-m PACKAGE -a NAME` of a code server is one", has=("module",)),
    "launching.LaunchRunContext": Relied(
        "every launcher is handed one, for new runs and resumed ones: is there another way to launch?",
        call=("dagster_run", "workspace"),
        has=("dagster_run",),
    ),
    "errors.DagsterUserCodeProcessError": Relied(
        "serializable_error_info_from_exc_info: does it still take the text of such an error, without its stack?",
        has=("user_code_process_error_infos",),
    ),
    "errors.SerializableErrorInfo": Relied(
        "the page of a failed step shows `message`", call=("message", "stack", "cls_name")
    ),
    "loading.DefinitionsLoadContext": Relied(
        "repository_load_data still travels with a queued run to its worker (L10: a run keeps its version)",
        call=("load_type", "repository_load_data"),
        has=("get", "scoped", "load_type", "reconstruction_metadata", "add_to_pending_reconstruction_metadata"),
    ),
    "loading.DefinitionsLoadType": Relied(
        "two loads: from the start, and again in a worker", has=("INITIALIZATION", "RECONSTRUCTION")
    ),
    "loading.ExecutionPlanSnapshot": Relied(
        "steps carry the tags of their assets: they say whose pipeline a run is",
        has=("steps", "repository_load_data"),
    ),
    "sqlite.ASSET_CHECK_EVENTS": Relied(
        "SqliteEventLogStorage.store_event: which events also go into the index database"
    ),
    "sqlite.ASSET_EVENTS": Relied("SqliteEventLogStorage.store_event: which events also go into the index database"),
    "sqlite.SqliteEventLogStorage": Relied(
        "compare store_event and _connect with BatchingEventLog line by line",
        call=("base_dir", "inst_data"),
        has=(
            *("_connect", "_initdb", "_initialized_dbs", "_db_lock", "_base_dir", "conn_string_for_shard"),
            *(
                "run_connection",
                "index_connection",
                "prepare_insert_event",
                "store_event_batch",
                "store_asset_check_event",
            ),
            *("_store_asset_event", "_store_asset_event_tags"),
        ),
    ),
    "sqlite.INDEX_SHARD_NAME": Relied("file of the index database", value="index"),
    "sqlite.SQLITE_BUSY_TIMEOUT_SECONDS": Relied("as long as Dagster's own processes wait", value="30"),
    "sqlite.DagsterSqliteStorage": Relied(
        "it still makes three storages of one folder, the event log among them",
        call=("base_dir", "inst_data"),
        has=("from_local", "from_config_value", "_event_log_storage"),
    ),
    "compute_logs.redirect_to_file": Relied(
        "it redirects the descriptor, not only sys.stdout", call=("stream", "filepath")
    ),
    "compute_logs.CapturedLogContext": Relied("what a compute log manager yields", call=("log_key",)),
    "compute_logs.LocalComputeLogManager": Relied(
        "capture_logs: files, and the one that says that a log is complete",
        call=("inst_data",),
        has=("capture_logs", "get_captured_local_path", "complete_artifact_path", "from_config_value"),
    ),
    "automation.AutomationTarget": Relied(
        "SensorDefinition._targets still holds them, and a name alone is enough",
        call=("resolvable_to_job",),
        has=("job_name",),
    ),
    "automation.InstigatorStatus": Relied("STOPPED is somebody's act, DECLARED_IN_CODE is nobody's", has=("STOPPED",)),
    "automation.InstigatorType": Relied("DagsterInstance.all_instigator_state filters by it", has=("SENSOR",)),
    "workspace.BulkActionStatus": Relied("REQUESTED again means that somebody resumed a backfill", has=("REQUESTED",)),
    "workspace.BulkActionsFilter": Relied("a backfill is found by the key of its launch, a tag", call=("tags",)),
    "workspace.PartitionBackfill": Relied(
        "its runs get its tags",
        has=("backfill_id", "status", "tags", "_replace", "asset_selection", "job_name", "partition_set_origin"),
    ),
    "workspace.is_implicit_asset_job_name": Relied(
        "the name of the job that Dagster makes for assets", call=("job_name",)
    ),
    "workspace.RemoteSchedule": Relied(
        "by which ids GraphQL finds a schedule",
        has=("handle", "name", "job_name", "get_remote_origin_id", "selector_id"),
    ),
    "workspace.RemoteSensor": Relied(
        "by which ids GraphQL finds a sensor", has=("name", "get_remote_origin_id", "selector_id")
    ),
    "workspace.PARTITION_SET_SNAP_NAME_SUFFIX": Relied(
        "GraphQL names a partition set by job and suffix", value="_partition_set"
    ),
    "workspace.BaseWorkspaceRequestContext": Relied(
        "every resolver of GraphQL reads permissions through it",
        has=("instance", "asset_graph", "code_locations", "permissions", "permissions_for_location"),
    ),
    "workspace.WorkspaceProcessContext": Relied(
        "every request's context comes from create_request_context: no other way in",
        call=("instance", "workspace_load_target", "version"),
        has=("create_request_context", "reload_code_location", "version"),
    ),
    "workspace.WorkspaceRequestContext": Relied(
        "which of its methods answer whether somebody may do something: each must ask DoorContext.permissions",
        call=("instance", "current_workspace", "process_context", "version", "source", "read_only"),
        has=("source", "permissions", "permissions_for_location", "get_reporting_user_tags", "get_current_workspace"),
    ),
    "workspace.PythonFileTarget": Relied("tests load a location from a file", call=("python_file",)),
    "workspace.WorkspaceFileTarget": Relied("the workspace file lists the code servers' sockets", call=("paths",)),
    "workspace.EDITOR_PERMISSIONS": Relied("what Dagster's open source offers at all; never offer more"),
    "workspace.LOCATION_SCOPED_PERMISSIONS": Relied("permissions that the UI asks per code location"),
    "workspace.PermissionResult": Relied(
        "the UI shows the reason", call=("enabled", "disabled_reason"), has=("enabled", "disabled_reason")
    ),
    "workspace.Permissions": Relied(
        "a new permission: say who has it in up/web/permissions.py (test_dagster_mutations.py fails until then)"
    ),
    "webserver.DagsterWebserver": Relied(
        "routes: each new one needs a rule in up/web/paths.py (test_dagster_paths.py fails until then)",
        call=("process_context", "app_path_prefix", "live_data_poll_rate"),
        has=("_graphene_schema", "create_asgi_app"),
    ),
    "tried.CodeLocationReconstructionMetadataValue": Relied(_REBUILD),
    "tried.RepositoryLoadData": Relied(_REBUILD, call=("reconstruction_metadata",)),
    "tried.JobSubsetSelector": Relied(_STANDARD),
    "tried.DEFAULT_SENSOR_DAEMON_INTERVAL": Relied("the floor of a sensor's delay, of which benchmarks tell"),
    "tried.DISALLOWED_NAMES": Relied("names that nodes of a pipeline may not have"),
    "tried.create_execution_plan": Relied(_REBUILD, call=("job",)),
    "tried.ReexecutionStrategy": Relied("GraphQL's ways to execute a run again", has=("FROM_FAILURE", "ALL_STEPS")),
    "tried.GrpcServerCodeLocationOrigin": Relied("the origin of a stopped sensor"),
    "tried.RemoteInstigatorOrigin": Relied("the origin of a stopped sensor"),
    "tried.RemoteRepositoryOrigin": Relied("the origin of a stopped sensor"),
    "tried.InstigatorState": Relied("how a stopped sensor is stored"),
    "tried.SensorInstigatorData": Relied("how a stopped sensor is stored"),
    "tried.TickStatus": Relied("how a tick ends", has=("SUCCESS", "FAILURE")),
    "tried.snapshot_from_execution_plan": Relied(_REBUILD, call=("execution_plan", "pipeline_snapshot_id")),
    "tried.ConsolidatedSqliteEventLogStorage": Relied("any storage that is not the default one"),
    "tried.AssetDaemon": Relied(_STANDARD),
    "tried.execute_backfill_iteration": Relied(_STANDARD, call=("workspace_process_context", "logger")),
    "tried.execute_sensor_iteration": Relied(_STANDARD),
    "tried.launch_scheduled_runs": Relied(_STANDARD),
    "tried.create_schema": Relied(
        "Dagster's whole GraphQL schema: each new mutation needs a rule in up/web/mutations.py"
    ),
    "tried.execute_dagster_graphql": Relied("a query with no server around it", call=("context", "query", "variables")),
    "tried.EnvRegistryKey": Relied("by what Dagster's registry of components finds ours"),
}

# Our classes that are one of Dagster's, and the methods of Dagster's that they replace.
REPLACED: dict[str, tuple[str, ...]] = {
    "drls_dagster.launch.event_log.BatchingEventLog": ("__init__", "_connect", "store_event_batch"),
    "drls_dagster.launch.event_log.BatchingStorage": ("__init__", "from_config_value"),
    "drls_dagster.launch.run_output.ShownOutput": ("from_config_value", "capture_logs"),
    "drls_dagster.gate.coordinator.GatedRunCoordinator": ("submit_run", "cancel_run"),
    "drls_dagster.gate.launcher.GatedRunLauncher": ("launch_run", "terminate"),
    "drls_dagster.gate.k8s_launcher.GatedK8sRunLauncher": ("launch_run",),
    "drls_dagster.up.web.instance.DoorInstance": ("submit_run", "add_backfill", "update_backfill"),
    "drls_dagster.up.web.workspace.DoorContext": (
        "permissions",
        "permissions_for_location",
        "get_reporting_user_tags",
    ),
    "drls_dagster.up.web.workspace.Workspace": ("create_request_context",),
}
