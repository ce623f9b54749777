#!/usr/bin/env bash
# Builds what is missing, and runs the tests on a node of Kubernetes; says so where this machine cannot have one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if ! why="$(tests/k8s/node/preflight.sh 2>&1)"; then
  echo "SKIPPED, not one test of tests/k8s ran: $why" >&2
  exit 0
fi
tests/k8s/node/build.sh
K8S_IMAGE="$(tests/k8s/node/image.sh)"
export K8S_IMAGE
exec .venv/bin/python -m pytest -m k8s tests/k8s
