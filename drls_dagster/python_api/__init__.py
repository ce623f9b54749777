"""What `import drls_dagster as drls` offers: tables, Spark and Ray, runs, pipelines in Python and their unit tests"""
