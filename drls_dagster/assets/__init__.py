"""A pipeline compiled to Dagster: assets, checks, one job, a schedule."""
