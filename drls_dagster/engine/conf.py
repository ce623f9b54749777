"""The Spark configuration of the engine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from drls_dagster.engine.places import temporary_folder
from drls_dagster.lakehouse.catalog import spark_catalog_conf
from drls_dagster.settings import Settings, memory_bytes

# RayDP reaches into these; without them JDK 17 and later hang or die at start.
_OPENS = (
    *(f"java.base/java.{name}" for name in ("lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "math", "text")),
    *(f"java.base/java.util{name}" for name in ("", ".concurrent", ".concurrent.atomic")),
    *(f"java.base/{name}" for name in ("jdk.internal.ref", "sun.nio.ch", "sun.nio.cs", "sun.security.action")),
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
)
JAVA_OPTIONS = " ".join(
    ["-XX:+IgnoreUnrecognizedVMOptions", *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS)]
)
# Of the text of a request over Spark Connect: an option with a password.
REDACTED = r'(?is)key: "(password|kafka\.sasl\.jaas\.config)"\s*value: "([^"\\]|\\.)*"'


def spark_conf(settings: Settings, jars: list[Path], connect_port: int) -> dict[str, str]:
    """Everything Spark is started with; `settings.engine.spark_conf` is put on top."""
    engine = settings.engine
    small = "-XX:+UseSerialGC -XX:MaxMetaspaceSize=256m"
    # An engine that waits gives its heap back (JEP 346); with the defaults it would hold it for good. One that works
    # takes what keeps garbage collection below a 25th of its time: as small as it would stay otherwise, it is a fifth.
    lean = (
        "-Xss4m -XX:+UseG1GC -XX:G1PeriodicGCInterval=20000 -XX:-G1PeriodicGCInvokesConcurrent -XX:GCTimeRatio=24 "
        "-XX:MinHeapFreeRatio=10 -XX:MaxHeapFreeRatio=25 "
        "-XX:ReservedCodeCacheSize=192m -XX:TrimNativeHeapInterval=20000"
    )
    # The pages of Parquet files in work are arrays of megabytes: in regions of the default size for small heaps each is
    # "humongous", which starts a collection.
    region = " -XX:G1HeapRegionSize=8m" if memory_bytes(engine.memory) < 16 * 2**30 else ""
    return {
        "spark.driver.memory": engine.driver_memory,
        # RayDP's agent would make this folder in /tmp/ray, which the fence does not open.
        "spark.driver.extraJavaOptions": f'{JAVA_OPTIONS} {lean} "-Dray.logging.dir={temporary_folder(settings)}"',
        # An executor without memory must go at once: its way out takes half a minute, in which it refuses all tasks.
        "spark.executor.extraJavaOptions": f"{JAVA_OPTIONS} {lean}{region} -XX:+ExitOnOutOfMemoryError",
        "spark.ray.raydp_app_master.extraJavaOptions": f"{JAVA_OPTIONS} {small} -Xmx256m",
        # The master and the executors only wait most of the time: they must not take the cores Ray steps need.
        "spark.ray.raydp_spark_master.actor.resource.CPU": "0",
        "spark.ray.raydp_spark_executor.actor.resource.cpu": "0",
        "spark.jars": ",".join(str(jar) for jar in jars),
        "spark.pyspark.python": os.environ.get("PYSPARK_PYTHON", sys.executable),
        "spark.sql.artifact.isolation.enabled": "true",  # so that each session has Python workers of its own
        "spark.python.unix.domain.socket.enabled": "false",  # a fence refuses them
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",  # the engine's log is no terminal
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(connect_port),
        "spark.scheduler.mode": "FAIR",
        # In events and plans Spark writes what a client asked for, with the options of a read in the clear.
        "spark.sql.redaction.string.regex": REDACTED,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(max(2, engine.executors * engine.cores)),
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
        **spark_catalog_conf(settings),
        **engine.spark_conf,
    }
