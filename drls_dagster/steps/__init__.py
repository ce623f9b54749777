"""What the steps of a run do, one file per kind. The Dagster side of them is in `drls_dagster.assets`."""
