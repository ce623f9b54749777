"""A small JVM with Spark's classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from drls_dagster.engine.java import find_java


@contextmanager
def running_java() -> Iterator[JavaGateway]:
    """It runs until the block ends."""
    jars = Path(pyspark.__file__).parent / "jars"
    port, token, process = launch_gateway(
        jarpath=str(next(jars.glob("py4j-*.jar"))),
        classpath=f"{jars}/*",
        java_path=f"{find_java().path}/bin/java",
        die_on_exit=True,
        enable_auth=True,
        return_proc=True,
    )
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token, auto_convert=True))
    yield gateway
    gateway.shutdown()
    process.stdin.close()
    process.wait(30)
