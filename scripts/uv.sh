#!/usr/bin/env bash
# Prints the path of uv: the one on PATH, else one of its own under .uv, which it makes at first use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.13.9

if command -v uv; then exit 0; fi

if ! [ -x .uv/bin/uv ]; then
  python=
  for candidate in python3 python3.12 python3.11; do
    # A version manager's shim may be on PATH without a Python behind it.
    if "$candidate" -c '' 2>/dev/null; then
      python="$candidate"
      break
    fi
  done
  if [ -z "$python" ]; then
    echo "No Python 3 and no uv on PATH. Install Python 3.11 or 3.12, or uv, and try again." >&2
    exit 1
  fi
  echo "Installing uv $version into .uv" >&2
  rm -rf .uv
  # Debian's python3 comes without ensurepip; pip may be there all the same.
  if ! "$python" -m venv .uv >/dev/null 2>&1; then
    rm -rf .uv
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      { apt-get update -qq && apt-get install -y -qq python3-venv; } >&2
      "$python" -m venv .uv >&2
    else
      echo "Python cannot make a virtual environment here. Run: sudo apt-get install python3-venv" >&2
      exit 1
    fi
  fi
  .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$version" >&2
fi
echo "$PWD/.uv/bin/uv"
