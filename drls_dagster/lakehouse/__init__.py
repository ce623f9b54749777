"""Iceberg tables: the catalog, names, refs and the compare-and-set that publishes. No Dagster, no Spark."""
