"""Dagster's daemon as a process: `dagster-daemon` with the Python of this process, wherever its scripts are."""

DAEMON = "dagster._daemon"
