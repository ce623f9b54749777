#!/usr/bin/env bash
# Brings what the node runs, where it is missing: Debian's container tools, and Kubernetes, CoreDNS and kube-router built
# with Go. Nothing is pulled from a container registry. From nothing this takes 18 minutes of one core; kept in the cache.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/parts.sh"
programs=(containerd runc iptables ipset conntrack buildah mmdebstrap openssl ip gcc)
if ! type -P "${programs[@]}" >/dev/null || [ ! -e /usr/lib/cni/bridge ]; then
  echo "Installing Debian's containerd, runc, CNI plugins, buildah and their like"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends containerd runc containernetworking-plugins \
    iptables ipset conntrack buildah mmdebstrap openssl iproute2 gcc libc6-dev >/dev/null
fi
mkdir -p "$bin" "$images"
built() { [ -x "$bin/$1" ]; }
if ! built kube || ! built coredns || ! built kube-router; then
  command -v go >/dev/null || { echo "Kubernetes is built from source: install Go (https://go.dev/dl)." >&2; exit 1; }
fi
work="$(mktemp -d)"
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOFLAGS=-mod=mod
# Half a binary never has the name of a whole one.
place() { mv "$work/$1" "$bin/$1"; }

if ! built kube; then
  echo "Building Kubernetes $KUBERNETES and etcd, one binary: about 13 minutes of one core"
  cp -r "$here/kube" "$work/kube-source"
  python3 "$here/kube/module.py" "$work/kube-source" "$KUBERNETES"
  minor="${KUBERNETES#v1.}"
  flags="-s -w"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$KUBERNETES -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean"
  done
  (cd "$work/kube-source" && go build -trimpath -tags providerless,netgo -ldflags "$flags" -o "$work/kube" .)
  place kube
fi
if ! built coredns; then
  echo "Building CoreDNS"
  cp -r "$here/coredns" "$work/coredns-source"
  (cd "$work/coredns-source" && go build -trimpath -ldflags "-s -w" -o "$work/coredns" .)
  place coredns
fi
# Of kube-router only the part that enforces NetworkPolicies runs.
if ! built kube-router; then
  echo "Building kube-router $KUBE_ROUTER"
  module="github.com/cloudnativelabs/kube-router/v2@$KUBE_ROUTER"
  source="$(cd / && go mod download -json "$module" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')"
  cp -r "$source" "$work/router-source"
  chmod -R u+w "$work/router-source"
  (cd "$work/router-source" && go build -trimpath -ldflags "-s -w" -o "$work/kube-router" ./cmd/kube-router)
  place kube-router
fi
for part in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
  ln -sfn kube "$bin/$part"
done
# A file from which the node imports an image: saved NAME FILE.
saved() {
  buildah push --quiet "$1" "docker-archive:$work/saved.tar:$1"
  mv "$work/saved.tar" "$images/$2"
}
made() { buildah inspect --type image "$1" >/dev/null 2>&1; }
base=docker.io/library/debian:bookworm-slim
# The base of Dockerfiles, under its public name.
if ! made "$base"; then
  echo "Making the image $base"
  mkdir "$work/base"
  mmdebstrap --quiet --variant=minbase --include=ca-certificates --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' bookworm "$work/base/rootfs.tar"
  printf 'FROM scratch\nADD rootfs.tar /\nCMD ["bash"]\n' >"$work/base/Dockerfile"
  buildah bud --quiet --isolation chroot --tag "$base" "$work/base" >/dev/null
fi
if [ ! -e "$images/pause.tar" ]; then
  mkdir "$work/pause"
  gcc -static -Os -s -o "$work/pause/pause" "$here/pause.c"
  printf 'FROM scratch\nCOPY pause /\nENTRYPOINT ["/pause"]\n' >"$work/pause/Dockerfile"
  buildah bud --quiet --isolation chroot --tag localhost/pause:drls "$work/pause" >/dev/null
  saved localhost/pause:drls pause.tar
fi
servers="$here/../servers"
if [ ! -e "$images/servers.tar" ] || [ "$servers/Dockerfile" -nt "$images/servers.tar" ]; then
  echo "Making an image with PostgreSQL, S3 and nginx"
  mkdir "$work/servers"
  cp "$servers/Dockerfile" "$("$here/../../../scripts/versitygw.sh")" "$work/servers/"
  buildah bud --quiet --isolation chroot --pull-never --layers --tag docker.io/library/drls-servers:tests "$work/servers" >/dev/null
  saved docker.io/library/drls-servers:tests servers.tar
fi
