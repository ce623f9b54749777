#!/usr/bin/env bash
# volumes.sh FOLDER: prints a storage class and a pool of `local` volumes. Their files get the pod's group, which those of the
# controller manager's own provisioner (hostPath) do not.
set -euo pipefail
cat <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
YAML
for number in $(seq 8); do
  install -d -m 0777 "$1/pv/$number"
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$number}
spec:
  storageClassName: local
  capacity: {storage: 20Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {path: $1/pv/$number}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [drls-node]}]}]}}
YAML
done
