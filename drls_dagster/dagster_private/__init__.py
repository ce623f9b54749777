"""Every private name of Dagster that DRLS uses, one file per topic. No other file imports them.

Dagster's version is pinned because of these names. tests/drls_dagster/test_dagster_private.py says what DRLS relies on
for each of them, and what to look at when Dagster moves. Files are apart because some names are slow to import.
"""
