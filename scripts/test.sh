#!/usr/bin/env bash
# Two halves at the same time: the tests that need the engine, which mostly wait for Spark, with those of tables; and all
# others. What the first said is shown when the second is done. Exit code 1 when either failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
beside="not postgres and not browser and not k8s"
told="$(mktemp)"
trap 'rm -f "$told"' EXIT

"$python" -m pytest -m "(engine or tables) and $beside" >"$told" 2>&1 &
engine=$!
trap 'kill -INT "$engine" 2>/dev/null; wait "$engine"; exit 130' INT TERM

failed=0
"$python" -m pytest -m "not engine and not tables and $beside" || failed=1
wait "$engine" || failed=1
cat "$told"
exit "$failed"
