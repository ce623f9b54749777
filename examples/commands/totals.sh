#!/usr/bin/env bash
# The number of departures of each airline.
set -euo pipefail
step() { python -m drls_dagster.custom "$@"; }

step read days |
  awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
           { total[$at["carrier"]] += $at["departures"] }
           END { print "carrier,departures"; for (one in total) print one "," total[one] }' |
  step write
step report "day_files=$(ls inputs/days/*.parquet | wc -l)"
