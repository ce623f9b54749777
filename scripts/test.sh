#!/usr/bin/env bash
# test.sh "not slow" | slow: runs the tests that need no server, browser, Kubernetes or MCP suite.
# Four parts at the same time, as each waits for other processes now and then: the tests that need the engine; those of
# the lifecycle layer and the data plane; those of agents, processes, attacks and tables; all others. The engine's are
# the longest part by far. The output of a part is shown when it is done, and what failed is named again at the end,
# where one looks first. Exit code 1 when one failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
which="${1:?the tests to run: 'not slow' or 'slow'}"
beside="$which and not postgres and not browser and not k8s and not s3 and not rest and not mcp and not kafka and not kills"
programs=(tests/agent tests/security tests/drls_dagster/up tests/drls_dagster/serving tests/drls_dagster/lakehouse
  tests/drls_dagster/web)
# The tests to look at first when a part takes too long.
slowest=(--durations=15 --durations-min=4)
# Of the slow tests the engine's take twice as long as any other part, so they go first.
behind=()
[ "$which" != slow ] || behind=(nice -n 5)
told="$(mktemp -d)"
trap 'rm -rf "$told"' EXIT

"$python" -m pytest "${slowest[@]}" -m "engine and $beside" >"$told/engine" 2>&1 &
engine=$!
"${behind[@]}" "$python" -m pytest "${slowest[@]}" -m "not engine and $beside" "${programs[@]}" >"$told/programs" 2>&1 &
programs_pid=$!
"${behind[@]}" "$python" -m pytest "${slowest[@]}" -m "not engine and $beside" --ignore tests/lifecycle --ignore tests/data_plane \
  "${programs[@]/#/--ignore=}" >"$told/others" 2>&1 &
others=$!
trap 'kill -INT "$engine" "$programs_pid" "$others" 2>/dev/null; wait "$engine" "$programs_pid" "$others"; exit 130' INT TERM

failed=0
"${behind[@]}" "$python" -m pytest "${slowest[@]}" -m "not engine and $beside" tests/lifecycle tests/data_plane 2>&1 | tee "$told/lifecycle"
[ "${PIPESTATUS[0]}" -eq 0 ] || failed=1
for part in others:"$others" programs:"$programs_pid" engine:"$engine"; do
  wait "${part#*:}" || failed=1
  cat "$told/${part%:*}"
done
if [ "$failed" -ne 0 ]; then
  echo "== what failed, of all four parts"
  grep -hE '^=+ .* in [0-9.]+s' "$told"/*
  grep -hE '^(FAILED|ERROR|E   )' "$told"/* | cut -c1-300 | tail -n 40
fi
exit "$failed"
