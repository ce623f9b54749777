#!/usr/bin/env bash
# Chromium for the tests that open pages: there already, or installed where that is possible.
set -euo pipefail

if ! command -v chromium >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Debian's chromium"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
  else
    echo "Chromium is not installed. Install it, on Debian with: sudo apt-get install chromium" >&2
    exit 1
  fi
fi
