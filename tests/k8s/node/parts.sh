# Sourced: the versions and folders that the scripts of the node share.
KUBERNETES=v1.34.4 KUBE_ROUTER=v2.1.0
cache="${K8S_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/drls-k8s}"
run="$cache/run" store="$cache/store" images="$cache/images"
bin="$cache/bin/$KUBERNETES-$(uname -m)"
# The name of its cgroups and its link on this machine, and the addresses of both ends: a second node has another number
# and folder.
own="drlsk8s${K8S_NUMBER:-0}" net="10.250.${K8S_NUMBER:-0}"
node_ip="$net.2" host_ip="$net.1"
export PATH="$PATH:/usr/sbin:/sbin"

# Its own storage, and what else this machine does comes first.
buildah() { command nice -n ${K8S_NICE:-10} buildah --root "$cache/buildah" --runroot "$cache/buildah-run" --storage-driver overlay "$@"; }
