#!/usr/bin/env bash
# The jars of a Kafka broker for the tests, where they are missing: with Maven, or with Spark's own resolver, which is slower.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VERSION=4.1.2
folder="${XDG_CACHE_HOME:-$HOME/.cache}/drls/kafka-$VERSION"
[ -d "$folder" ] && exit

made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT

with_maven() {
  cat >"$made/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>drls</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$VERSION</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
  (cd "$made" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=jars)
}

with_spark() {
  JAVA_HOME="$(.venv/bin/python -c 'from drls_dagster.engine.java import find_java; print(find_java().path)')" \
    .venv/bin/python - "$made" "org.apache.kafka:kafka_2.13:$VERSION,org.slf4j:slf4j-simple:1.7.36" <<'PYTHON'
import sys

from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

conf = SparkConf(False)
conf.set("spark.jars.ivy", sys.argv[1])
conf.set("spark.jars.packages", sys.argv[2])
launch_gateway(conf).shutdown()
PYTHON
}

how=with_spark
if command -v mvn >/dev/null; then how=with_maven; fi
if ! "$how" >"$made/log" 2>&1; then
  tail -n 20 "$made/log" >&2
  echo "The jars of a Kafka broker could not be fetched; check the network." >&2
  exit 1
fi
mkdir -p "$(dirname "$folder")"
mv "$made/jars" "$folder"
