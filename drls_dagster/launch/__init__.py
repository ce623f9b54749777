"""Run a pipeline in this process, through Dagster."""
