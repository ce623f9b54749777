#!/usr/bin/env bash
# Ends the node, wherever it is in its life: its pid namespace with every process, its network and its mounts at once, then
# its cgroups and its folder. Ends with 1 where something could not be removed.
set -uo pipefail
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/parts.sh"
# Neither a zombie, nor a stranger with a number that was ours.
running() { grep -q '^State:[[:space:]]*[DIRSTt]' "/proc/$1/status" 2>/dev/null && grep -q "/$own\$" "/proc/$1/cgroup" 2>/dev/null; }
pids="$(cat "$run/init.pid" "$run/outer.pid" 2>/dev/null)"
for pid in $pids; do ! running "$pid" || kill -9 "$pid"; done
for pid in $pids; do for _ in $(seq 100); do running "$pid" || break; sleep 0.1; done; done
ip link del "$own" 2>/dev/null
# The kernel lets go of a cgroup a moment after its last process.
for _ in $(seq 100); do
  left=()
  while read -r group; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$group" ] || left+=("$group")
  done < <(cat "$run/cgroups" 2>/dev/null)
  [ "${#left[@]}" -gt 0 ] || break
  sleep 0.1
done
[ "${#left[@]}" -eq 0 ] || { echo "these cgroups could not be removed: ${left[*]}" >&2; exit 1; }
rm -rf "${run:?}"
