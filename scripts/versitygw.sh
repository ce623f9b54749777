#!/usr/bin/env bash
# Prints where versitygw is, an S3 server for tests, which it installs with Go where it is missing.
set -euo pipefail
VERSION=v1.8.0
if found="$(command -v versitygw)"; then
  echo "$found"
  exit 0
fi
folder="${XDG_CACHE_HOME:-$HOME/.cache}/drls/versitygw-$VERSION"
if [ ! -x "$folder/versitygw" ]; then
  if ! command -v go >/dev/null; then
    echo "The tests of S3 need versitygw $VERSION. Install Go (https://go.dev/dl), or put versitygw on the PATH." >&2
    exit 1
  fi
  GOBIN="$folder" go install "github.com/versity/versitygw/cmd/versitygw@$VERSION" >&2 ||
    { echo "versitygw $VERSION could not be installed with Go; check the network." >&2; exit 1; }
fi
echo "$folder/versitygw"
