#!/usr/bin/env bash
# Ends with 0 where a Kubernetes node can run; else says on one line what is missing and ends with 1.
set -euo pipefail
missing() { echo "no Kubernetes here: $*" >&2; exit 1; }
[ "$(uname -sm)" = "Linux x86_64" ] || missing "it needs Linux on x86-64, and this is $(uname -sm)"
[ "$(id -u)" = 0 ] || missing "containers, networks and cgroups need root, and this is $(id -un)"
grep -q '^[0-9]*:memory:' /proc/self/cgroup || missing "the node's scripts know cgroup v1 only, and this machine has no controller memory of it"
[ -e /dev/kmsg ] || missing "the kubelet reads /dev/kmsg, which is not there"
unshare --mount --net --pid --fork true 2>/dev/null || missing "this root may not make namespaces (unshare)"
