#!/usr/bin/env bash
# Starts a node of Kubernetes in namespaces of its own, prints `ready`, and keeps it until its input ends; then nothing is
# left: whoever holds the other end of the input may be killed. One kill of the namespaces' first process ends every process,
# mount, link and rule of the node; only its cgroups and its folder are removed one by one.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/parts.sh"
"$here/preflight.sh"
mkdir -p "$store"
exec 9>"$cache/lock"
flock --nonblock 9 || { echo "another node of this folder is running: $cache" >&2; exit 1; }
# What an earlier node left that was killed together with its keeper.
"$here/down.sh"
mkdir -p "$run"
trap '"$here/down.sh"' EXIT
trap 'exit 130' INT TERM
# Below our own cgroups, so that the node stays within what limits us.
while IFS=: read -r _ controllers path; do
  name="${controllers#name=}" top="/sys/fs/cgroup/${controllers#name=}"
  [ -n "$name" ] && [ -d "$top" ] || continue
  group="$top${path%/}/$own"
  mkdir -p "$group"
  echo "$group" >>"$run/cgroups"
  if [ "$name" = cpuset ]; then
    cat "$top${path%/}/cpuset.cpus" >"$group/cpuset.cpus"
    cat "$top${path%/}/cpuset.mems" >"$group/cpuset.mems"
    echo 1 >"$group/cgroup.clone_children"
  fi
done </proc/self/cgroup
(
  while read -r group; do echo "$BASHPID" >"$group/cgroup.procs"; done <"$run/cgroups"
  # Killed with this script, however that ends.
  exec setpriv --pdeathsig KILL setsid unshare --mount --propagation private --pid --fork --kill-child --net --uts --ipc --cgroup \
    "$here/node.sh" >"$run/node.log" 2>&1 </dev/null 9>&-
) &
outer=$!
# The shell says nothing when it is killed.
disown "$outer"
echo "$outer" >"$run/outer.pid"
ended() { echo "the node ended:" >&2; tail -n 20 "$run/node.log" >&2; exit 1; }
until init="$(pgrep -P "$outer" 2>/dev/null)"; do kill -0 "$outer" 2>/dev/null || ended; sleep 0.05; done
echo "$init" >"$run/init.pid"
ip link add "$own" type veth peer name eth0 netns "$init"
ip addr add "$host_ip/30" dev "$own"
ip link set "$own" up
# A first start imports images of gigabytes.
until [ -e "$run/ready" ]; do kill -0 "$outer" 2>/dev/null || ended; sleep 0.1; done
echo ready
while kill -0 "$outer" 2>/dev/null || ended; do
  # 1 is the end of the input; more is that the time is over.
  heard=0
  read -r -t 1 _ || heard=$?
  [ "$heard" -ne 1 ] || exit 0
done
