"""How it runs: Dagster assets, the Spark-on-Ray engine and Iceberg tables."""
