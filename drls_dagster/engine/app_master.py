"""RayDP's Spark master, with a token on the door of its Java process.

RayDP starts that process with a Py4J server of its own, which executes what any local account sends. Ours is started
with Py4J's server, which asks for a token. What RayDP does with the process stays the same.
"""

from __future__ import annotations

import glob
import os
import shlex
import sys
from typing import Any

import ray
import raydp
from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from raydp import versions
from raydp.spark import ray_cluster, ray_cluster_master

_NATIVE_LIBRARY = "core_worker_library_java"


class _EntryPoint:
    """What RayDP asks of its own server's entry point."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway

    def getAppMasterBridge(self) -> Any:  # noqa: N802  RayDP's name
        return self._gateway.jvm.org.apache.spark.deploy.raydp.AppMasterJavaBridge()


class _GuardedSparkMaster(ray_cluster_master.RayDPSparkMaster.__ray_metadata__.modified_class):  # pyright: ignore
    """Replaces how the Java process is started, and nothing else."""

    def _launch_gateway(self, class_path: str, popen_kwargs: dict[str, Any] | None = None) -> Any:
        """RayDP's command, with `py4j.GatewayServer` in place of its own main class."""
        configs: dict[str, str] = self._configs
        node: Any = ray._private.worker._global_node  # pyright: ignore
        log4j = ray_cluster_master.SPARK_RAY_LOG4J_FACTORY_CLASS_KEY
        log4j_file = ray_cluster_master.RAY_LOG4J_CONFIG_FILE_NAME
        options = [
            *shlex.split(configs.get(ray_cluster_master.RAYDP_APPMASTER_EXTRA_JAVA_OPTIONS, "")),
            *shlex.split(os.environ.get("JAVA_OPTS", "")),
            f"-javaagent:{configs[ray_cluster_master.SPARK_JAVAAGENT]}",
            f"-Dray.logging.dir={node.get_logs_dir_path()}",
            f"-D{log4j}={configs[log4j]}",
            f"-D{versions.RAY_LOG4J_CONFIG_FILE_NAME_KEY}={configs[log4j_file]}",
        ]
        started: Any = launch_gateway(
            jarpath=_py4j_jar(self._spark_home),
            classpath=class_path,
            javaopts=options,
            java_path="java",
            die_on_exit=True,
            enable_auth=True,
            create_new_process_group=True,  # Ctrl-C is not for it
            redirect_stderr=sys.stderr,
            return_proc=True,
        )
        port, token, process = started
        parameters = GatewayParameters(port=port, auth_token=token, auto_convert=True)
        gateway: Any = JavaGateway(gateway_parameters=parameters)
        gateway.proc = process
        gateway.entry_point = _EntryPoint(gateway)
        # Ray's Java driver would load this library from /tmp/ray, where every account could put another one.
        gateway.jvm.io.ray.runtime.util.JniUtils.loadLibrary(node.get_session_dir_path(), _NATIVE_LIBRARY, True)
        return gateway


# Where a job has a code search path, as RayDP's has, Ray finds an actor's class by its name in the module.
_GuardedSparkMaster.__name__ = _GuardedSparkMaster.__qualname__ = "GuardedSparkMaster"
GuardedSparkMaster = ray.remote(_GuardedSparkMaster)


def guard_app_master() -> None:
    """Have `raydp.init_spark` use it in this process. Raises RuntimeError where RayDP no longer has what we replace."""
    if not hasattr(ray_cluster, "RayDPSparkMaster"):
        raise RuntimeError(f"RayDP {getattr(raydp, '__version__', '')} has no master that could be guarded")
    ray_cluster.RayDPSparkMaster = GuardedSparkMaster


def _py4j_jar(spark_home: str) -> str:
    found = glob.glob(os.path.join(spark_home, "jars", "py4j-*.jar"))
    if not found:
        raise RuntimeError(f"no py4j jar in {spark_home}/jars")
    return found[0]
