"""Code locations: what Dagster loads for an environment, built from what is deployed there."""
