#!/usr/bin/env bash
# The first process of the node's namespaces: mounts, network, then containerd, the control plane, kubelet, proxy and DNS.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/parts.sh"
. "$here/settings.sh"
export PATH="$bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="${HOME:-/}"
while read -r name; do unset "$name"; done < <(env | cut -d= -f1 | grep -iE '_proxy$')
hostname drls-node

# Mounts, which nobody else sees. An overlay over /var/lib, because a mount point that is made and removed outside would
# be unmounted here as well.
mount -t proc proc /proc
mount --make-rshared /
mkdir -p "$run"/{log,etc/cni,var-log,kubelet,cni,pki,over/up,over/work}
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns /run/containerd
mount -t overlay -o "lowerdir=/var/lib,upperdir=$run/over/up,workdir=$run/over/work" overlay /var/lib
for pair in "$run/var-log:/var/log" "$run/kubelet:/var/lib/kubelet" "$store:/var/lib/containerd" "$run/cni:/var/lib/cni"; do
  mkdir -p "${pair#*:}"
  mount --bind "${pair%%:*}" "${pair#*:}"
done
# The controllers again, with our own group as the root.
controllers="$(sed 's/^[0-9]*:\([^:]*\):.*/\1/;s/^name=//' /proc/self/cgroup | grep .)"
umount -l /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for name in $controllers; do
  mkdir "/sys/fs/cgroup/$name"
  mount -t cgroup -o "$([ "$name" = systemd ] && echo none,name=systemd || echo "$name")" cgroup "/sys/fs/cgroup/$name"
done
# The kubelet sets these for the whole machine: it finds files that hold what it wants.
for pair in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  key="${pair%=*}" file="$run/etc/sysctl-${pair//[\/=]/-}"
  echo "${pair#*=}" >"$file"
  mount --bind "$file" "/proc/sys/$key"
done

# Network. The default route leads to this machine, which forwards nothing: pods reach servers on it, and nothing beyond.
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip addr add "$node_ip/30" dev eth0
ip link set eth0 up
ip route add default via "$host_ip"
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

"$here/certs.sh" "$run/pki" "$node_ip"
write_settings

log="$run/log"
start() {
  local name="$1"
  shift
  "$@" >"$log/$name.log" 2>&1 </dev/null &
  echo "$!" >"$log/$name.pid"
}
# Every process is still there, or the node ends and says which is not.
alive() {
  local file
  sleep "${1:-0.1}"
  for file in "$log"/*.pid; do
    kill -0 "$(cat "$file")" 2>/dev/null || { echo "${file%.pid} ended: $(tail -n 1 "${file%.pid}.log")"; exit 1; }
  done
}
until_true() { until "$@" >/dev/null 2>&1; do alive; done; }
as_admin() { kubectl --kubeconfig "$run/pki/admin.conf" "$@"; }
start_containerd() {
  start containerd containerd --config "$run/etc/containerd.toml" --log-level info
  until_true ctr version
}

start etcd etcd --data-dir "$run/etcd" --unsafe-no-fsync --log-level warn --listen-client-urls http://127.0.0.1:2379 \
  --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$node_ip" --bind-address=0.0.0.0 \
  --secure-port=6443 --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC --allow-privileged=true \
  --enable-admission-plugins=NodeRestriction --client-ca-file="$run/pki/ca.crt" --tls-cert-file="$run/pki/apiserver.crt" \
  --tls-private-key-file="$run/pki/apiserver.key" --kubelet-client-certificate="$run/pki/apiserver-kubelet.crt" \
  --kubelet-client-key="$run/pki/apiserver-kubelet.key" --kubelet-certificate-authority="$run/pki/ca.crt" \
  --kubelet-preferred-address-types=InternalIP --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$run/pki/sa.pub" --service-account-signing-key-file="$run/pki/sa.key" --endpoint-reconciler-type=lease
start_containerd
# Images outlive a node; containers that a killed one left must not.
if [ -n "$(ctr -n k8s.io containers ls -q)" ]; then
  ctr -n k8s.io containers ls -q | xargs ctr -n k8s.io containers rm
  ctr -n k8s.io snapshots ls | awk '$3 == "Active" {print $1}' | xargs -r ctr -n k8s.io snapshots rm
  kill "$(cat "$log/containerd.pid")"
  wait "$(cat "$log/containerd.pid")" || true
  start_containerd
fi
for image in "$images"/*.tar; do
  imported="$store/$(basename "$image").$(stat -c %s-%Y "$image")"
  [ -e "$imported" ] || { ctr -n k8s.io images import "$image" >>"$log/images.log" 2>&1 && touch "$imported"; }
done
until_true as_admin get --raw /readyz
start kube-controller-manager kube-controller-manager --kubeconfig="$run/pki/controller-manager.conf" \
  --authentication-kubeconfig="$run/pki/controller-manager.conf" --authorization-kubeconfig="$run/pki/controller-manager.conf" \
  --leader-elect=false --use-service-account-credentials --root-ca-file="$run/pki/ca.crt" --bind-address=127.0.0.1 \
  --service-account-private-key-file="$run/pki/sa.key" --cluster-signing-cert-file="$run/pki/ca.crt" \
  --cluster-signing-key-file="$run/pki/ca.key"
start kube-scheduler kube-scheduler --kubeconfig="$run/pki/scheduler.conf" --leader-elect=false --bind-address=127.0.0.1 \
  --authentication-kubeconfig="$run/pki/scheduler.conf" --authorization-kubeconfig="$run/pki/scheduler.conf"
start kubelet kubelet --config="$run/etc/kubelet.yaml" --kubeconfig="$run/pki/kubelet.conf" --hostname-override=drls-node \
  --node-ip="$node_ip"
start kube-proxy kube-proxy --config="$run/etc/proxy.yaml"
start coredns coredns -conf "$run/etc/Corefile"
until_true as_admin wait --for=condition=Ready node/drls-node --timeout=2s
until_true as_admin -n default get serviceaccount default
# It looks for the node at its start.
start kube-router kube-router --run-router=false --run-service-proxy=false --run-firewall=true --metrics-port=0 --health-port=0 \
  --kubeconfig="$run/pki/kube-router.conf" --hostname-override=drls-node --service-cluster-ip-range=10.96.0.0/16
"$here/volumes.sh" "$run" | as_admin apply -f - >/dev/null
touch "$run/ready"
while true; do alive 1; done
