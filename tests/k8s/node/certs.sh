#!/usr/bin/env bash
# certs.sh FOLDER ADDRESS: a certificate authority, certificates of servers and clients, and a kubeconfig for each client.
set -euo pipefail
mkdir -p "$1"; cd "$1"; ip=$2; node=drls-node
exec 2>certs.log
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=drls-node-ca
issue() { # file subject usage [subjectAltName]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2"
  printf 'extendedKeyUsage=%s\n%s\n' "$3" "${4:+subjectAltName=$4}" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" -extfile "$1.ext"
  rm "$1.csr" "$1.ext"
}
issue apiserver /CN=kube-apiserver serverAuth "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:10.96.0.1,IP:127.0.0.1,IP:$ip"
issue kubelet-server "/O=system:nodes/CN=system:node:$node" serverAuth "DNS:$node,IP:$ip"
issue apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
issue front-proxy /CN=front-proxy clientAuth
openssl genrsa -out sa.key 2048; openssl rsa -in sa.key -pubout -out sa.pub
config() { # name subject server
  issue "$1" "$2" clientAuth
  cat > "$1.conf" <<YAML
apiVersion: v1
kind: Config
current-context: drls-node
clusters: [{name: drls-node, cluster: {server: "https://$3:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: drls-node, context: {cluster: drls-node, user: $1}}]
YAML
}
config admin /O=system:masters/CN=admin "$ip"
config kubelet "/O=system:nodes/CN=system:node:$node" 127.0.0.1
config controller-manager /CN=system:kube-controller-manager 127.0.0.1
config scheduler /CN=system:kube-scheduler 127.0.0.1
config proxy /CN=system:kube-proxy 127.0.0.1
config coredns /O=system:masters/CN=coredns 127.0.0.1
config kube-router /O=system:masters/CN=kube-router 127.0.0.1
