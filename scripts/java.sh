#!/usr/bin/env bash
# Makes sure that a JDK 17 or 21 is here; on Debian and Ubuntu, as root, installs it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_java() { .venv/bin/python -m drls_dagster.engine.java; }

if ! find_java >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing a Java runtime"
  apt-get update -qq
  # Debian 13 dropped 17 and has 21.
  apt-get install -y -qq openjdk-17-jre-headless || apt-get install -y -qq openjdk-21-jre-headless
fi
find_java
