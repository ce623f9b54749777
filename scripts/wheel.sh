#!/usr/bin/env bash
# Builds the wheel, installs it where no checkout is near, for each Python that DRLS supports, and runs what a
# newcomer would run. The versions of what it depends on are those of requirements.lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checkout="$PWD"
away="$(mktemp -d)"
# The engine belongs to the home; it ends with it, whatever happens.
finish() {
  for bin in "$away"/*/bin; do
    [ -x "$bin/drls" ] && (cd "$away" && "$bin/drls" engine stop >/dev/null 2>&1) || true
  done
  rm -rf "$away"
}
trap finish EXIT

for name in $(env | sed -n 's/^\(DRLS_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
unset PYTHONPATH VIRTUAL_ENV
export DRLS_HOME="$away/home"

find_python() {
  local candidate
  for candidate in "python$1" "$(command -v pyenv >/dev/null && pyenv root)"/versions/"$1".*/bin/python; do
    if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  echo "Python $1 was not found. Install it (Debian: apt-get install python$1-venv), then try again." >&2
  return 1
}

.venv/bin/python -m hatchling build -t wheel -d "$away/dist" >/dev/null
wheel="$(echo "$away"/dist/*.whl)"
# Constraints take neither hashes nor extras.
sed -e '/^ *--hash=/d; /^ *#/d; s/ *\\$//; s/\[[^]]*\]//' requirements.lock >"$away/constraints.txt"

uv="$(scripts/uv.sh)"
for version in ${1:-3.11 3.12}; do
  python="$(find_python "$version")"
  echo "== Python $version: install $(basename "$wheel")"
  "$uv" venv --quiet --python "$python" "$away/$version"
  (
    cd "$away"
    "$uv" pip install --quiet --python "$version/bin/python" --constraint constraints.txt "$wheel"
    "$version/bin/python" - "$checkout" <<'PYTHON'
import sys
import drls_dagster, lifecycle
for package in (drls_dagster, lifecycle):
    assert not str(package.__file__).startswith(sys.argv[1]), f"{package.__file__} is not the installed one"
PYTHON
    echo "== Python $version: drls demo --quick"
    "$version/bin/drls" demo --quick
    "$version/bin/drls" table list
    "$version/bin/drls" engine stop
  )
  rm -rf "$away/home" "${away:?}/$version"
done
