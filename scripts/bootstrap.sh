#!/usr/bin/env bash
# Makes .venv: the locked requirements with their hashes, then this project, editable.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'
uv="$(scripts/uv.sh)"

if ! .venv/bin/python -c "$supported" 2>/dev/null; then
  wanted='>=3.11,<3.13'
  for candidate in python3.12 python3.11 python3; do
    if "$candidate" -c "$supported" 2>/dev/null; then
      wanted="$("$candidate" -c 'import sys; print(sys.executable)')"
      break
    fi
  done
  if ! "$uv" venv --quiet --clear --python "$wanted" .venv; then
    echo "DRLS needs Python 3.11 or 3.12, and none was found. Install one (Debian: apt-get install python3), then try again." >&2
    exit 1
  fi
fi

echo "Installing requirements.lock into .venv"
# Where Python may not keep bytecode, every process would compile pyspark, dagster and ray again.
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes ${PYTHONDONTWRITEBYTECODE:+--compile-bytecode} \
  requirements.lock
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
