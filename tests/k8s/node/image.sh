#!/usr/bin/env bash
# Builds deploy/images/Dockerfile as it is, on the base that build.sh made, and prints the image's name.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/parts.sh"
cd "$here/../../.."
name=docker.io/library/drls
mkdir -p "$images"
# An earlier build that was killed leaves mounts.
buildah rm --all >/dev/null
# Where a proxy opens TLS, the machine's own certificates are lent to the build; the image does not keep them.
authorities="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"
buildah bud --quiet --isolation chroot --pull-never --layers --volume "$authorities:/run/authorities.crt:ro" \
  --build-arg SSL_CERT_FILE=/run/authorities.crt --build-arg PIP_CERT=/run/authorities.crt \
  --tag "$name:built" -f deploy/images/Dockerfile . >&2
identity="$(buildah inspect --type image --format '{{.FromImageID}}' "$name:built")"
tag="${identity:0:12}"
if [ ! -e "$images/drls-$tag.tar" ]; then
  rm -f "$images"/drls-*.tar
  buildah push --quiet "$name:built" "docker-archive:$images/drls.part:$name:$tag" >&2
  mv "$images/drls.part" "$images/drls-$tag.tar"
fi
echo "$name:$tag"
