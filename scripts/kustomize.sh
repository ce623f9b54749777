#!/usr/bin/env bash
# Prints the base of deploy/kustomize: the chart with its own values, as kubectl applies it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
"$(scripts/kube_tools.sh)/helm" template drls deploy/helm/drls --skip-tests |
  sed -e '/^ *app.kubernetes.io\/managed-by: /d; /^ *helm.sh\/chart: /d; /^# Source: /d; s/ *$//; s/^  name: drls-migrate-1$/  name: drls-migrate/'
