#!/usr/bin/env bash
# Prints the folder with the jars of the Iceberg project's REST test server, which it fetches with Maven where they are missing.
# The server has no sign-in and listens on every interface: for tests only.
set -euo pipefail
VERSION=1.11.0
folder="${XDG_CACHE_HOME:-$HOME/.cache}/drls/iceberg-rest-$VERSION"
if [ ! -d "$folder" ]; then
  if ! command -v mvn >/dev/null; then
    echo "The tests of REST catalogs need Maven. Install it, on Debian with: sudo apt-get install maven" >&2
    exit 1
  fi
  made="$(mktemp -d)"
  trap 'rm -rf "$made"' EXIT
  dependency() {
    echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version>${4:+<classifier>$4</classifier>}</dependency>"
  }
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>drls</groupId><artifactId>iceberg-rest</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    dependency org.apache.iceberg iceberg-open-api "$VERSION" test-fixtures
    dependency org.apache.iceberg iceberg-core "$VERSION"
    dependency org.apache.iceberg iceberg-core "$VERSION" tests
    dependency org.apache.iceberg iceberg-aws "$VERSION"
    dependency org.apache.hadoop hadoop-client-api 3.4.1
    dependency org.apache.hadoop hadoop-client-runtime 3.4.1
    dependency org.eclipse.jetty.ee10 jetty-ee10-servlet 12.1.9
    dependency org.eclipse.jetty.compression jetty-compression-server 12.1.9
    dependency org.eclipse.jetty.compression jetty-compression-gzip 12.1.9
    dependency org.xerial sqlite-jdbc 3.50.3.0
    dependency org.slf4j slf4j-simple 2.0.17
    echo '</dependencies></project>'
  } >"$made/pom.xml"
  (cd "$made" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >&2) ||
    { echo "The jars of Iceberg's REST server could not be fetched with Maven; check the network." >&2; exit 1; }
  mkdir -p "$(dirname "$folder")"
  mv "$made/lib" "$folder"
fi
echo "$folder"
