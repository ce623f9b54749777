#!/usr/bin/env bash
# prune.sh ENVIRONMENT: removes what packages bring and DRLS never opens: tests, sources in C, examples, source maps, a second
# web interface, Spark's shell and its own scheduler on Kubernetes, Arrow Flight, libraries for other systems.
# prune.sh --compile ENVIRONMENT: writes the bytecode of what is left, because nothing can write it on a read-only disk,
# and imports what the roles start with.
set -euo pipefail
if [ "$1" = --compile ]; then
  cd "$2"/lib/python3*/site-packages
  # The large ones that a role rarely imports, or as a whole only once, are left out. Templates that are no Python fail.
  "$2/bin/python" -m compileall -q -j 0 -x '^\./(litellm|kubernetes|botocore|openai)/' . >/dev/null || true
  cd /
  exec "$2/bin/python" -c 'import agent.mcp.serve, dagster_postgres, drls_dagster.up.web.serve, drls_dagster.engine.driver, psycopg2, pyspark.sql.connect.client, ray, raydp, s3fs'
fi
cd "$1"/lib/python3*/site-packages
rm -rf pyspark/examples pyspark/R pyspark/data ray/rllib pyarrow/include pyarrow/tests litellm/proxy/_experimental kubernetes/aio
rm -rf pyspark/jars/kubernetes-*.jar pyspark/jars/spark-kubernetes*.jar pyspark/jars/connect-repl
rm -f pyarrow/libarrow_flight* pyarrow/_flight*
find . -type f \( -name '*.map' -o -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.pyx' -o -name '*.pxd' \) -delete
find . -path './pandas/tests' -o -path './numpy/*/tests' -o -path './sqlglot/*/tests' | xargs rm -rf
"$1/bin/python" - pyspark/jars/rocksdbjni-*.jar <<'PYTHON'
import re, sys, zipfile
from pathlib import Path

(jar,) = map(Path, sys.argv[1:])
slim = jar.with_suffix(".slim")
with zipfile.ZipFile(jar) as given, zipfile.ZipFile(slim, "w", zipfile.ZIP_DEFLATED) as kept:
    for entry in given.infolist():
        if not re.match(r"librocksdbjni-(?!linux64\.so$|linux-aarch64\.so$)", entry.filename):
            kept.writestr(entry, given.read(entry))
slim.replace(jar)
PYTHON
