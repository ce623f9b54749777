"""Operations on Iceberg tables: the catalog, names, commits. No Dagster, no Spark."""
