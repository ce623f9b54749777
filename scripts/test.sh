#!/usr/bin/env bash
# The tests in two halves at the same time: those that need the engine mostly wait for Spark, and what decides about
# versions needs none of it. What this half said is shown when the other is done. Exit code 1 when either failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
marks="not postgres and not browser and not k8s"
half=(tests/engine tests/examples tests/lifecycle)
told="$(mktemp)"

"$python" -m pytest -m "$marks" "${half[@]}" >"$told" 2>&1 &
first=$!
trap 'rm -f "$told"' EXIT
trap 'kill -INT "$first" 2>/dev/null; wait "$first"; exit 130' INT TERM

failed=0
"$python" -m pytest -m "$marks" "${half[@]/#/--ignore=}" || failed=1
wait "$first" || failed=1
cat "$told"
exit "$failed"
