#!/usr/bin/env bash
# prune.sh ENVIRONMENT: removes what packages bring and DRLS never opens: tests, headers, examples, a second web interface.
# prune.sh --compile ENVIRONMENT: writes the bytecode of what is left, because nothing can write it on a read-only disk.
set -euo pipefail
if [ "$1" = --compile ]; then
  # Some packages bring templates that are no Python; those are not compiled.
  "$2/bin/python" -m compileall -q -j 0 "$2"/lib/python3*/site-packages >/dev/null || true
  "$2/bin/python" -c 'import agent.mcp.serve, dagster_postgres, drls_dagster.up.web.serve, drls_dagster.engine.driver, psycopg2, pyspark.sql.connect.client, ray, raydp, s3fs'
  exit
fi
cd "$1"/lib/python3*/site-packages
rm -rf pyspark/examples pyspark/R pyspark/data ray/rllib pyarrow/include pyarrow/tests litellm/proxy/_experimental kubernetes/aio
find . -path './pandas/tests' -o -path './numpy/*/tests' -o -path './sqlglot/*/tests' | xargs rm -rf
