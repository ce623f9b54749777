"""What `import drls_dagster as drls` offers for tables, over the same verbs as the command line and REST."""
