"""The engine's driver process: Ray, RayDP and Spark Connect, until stopped or idle.

Started by `drls_dagster.engine.client`, never by hand. Standard output is the engine's log.
"""

from __future__ import annotations

import argparse
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from drls_dagster.engine import state as st
from drls_dagster.engine.app_id import agree_on_app_id
from drls_dagster.engine.client import TRY_AGAIN
from drls_dagster.engine.conf import spark_conf
from drls_dagster.engine.credentials import CONNECT_TOKEN, engine_secrets, java_authentication, spark_authentication
from drls_dagster.engine.handover import engine_settings
from drls_dagster.engine.host_folders import clear_host_folders
from drls_dagster.engine.jars import all_jars
from drls_dagster.engine.java import find_java
from drls_dagster.engine.lean_ray import start_ray
from drls_dagster.engine.places import empty_places, java_places, ray_folder, spark_folder, temporary_folder
from drls_dagster.engine.processes import MARK, end_all
from drls_dagster.engine.python_launcher import spark_python
from drls_dagster.engine.step_request import RETRIES
from drls_dagster.engine.young_node import first_ended, node_processes, young_node
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import close_to_others
from drls_dagster.settings import Settings, memory_bytes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_APP = "drls"
SPARE_WORKERS = 4
LONE_SECONDS = 10  # how long the engine waits for an executor to come back


class Driver:
    """One engine's life."""

    def __init__(self, settings: Settings, fingerprint: str) -> None:
        self.settings = settings
        # A signal's handler may put something here whatever this thread is doing, which an Event does not allow.
        self.asked_to_stop: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.state = st.starting(os.environ[MARK], fingerprint)
        self.runner: subprocess.Popen[bytes] | None = None
        self.node: dict[psutil.Process, str] = {}  # of Ray, where it is our own

    def report(self, detail: str) -> None:
        self.state = replace(self.state, detail=detail)
        st.write_state(self.settings, self.state)
        print(f"{time.strftime('%H:%M:%S')} {detail}", flush=True)

    def start(self) -> SparkSession:
        settings = self.settings
        clear_host_folders(settings.staging)
        self.report("starting Ray")
        ray_address = self._start_ray()
        close_to_others(settings)
        self.report("starting Spark on Ray")
        token = secrets.token_hex(32)
        # By environment, so that it is in no configuration a session can print.
        os.environ[CONNECT_TOKEN] = token
        import raydp

        if " " in raydp.__file__:
            raise DrlsError(f"RayDP cannot start from a path with a space ({sys.prefix}); move the environment")
        from drls_dagster.engine.app_master import guard_app_master

        guard_app_master()
        port = free_port()
        own = self._owns_ray()
        spark = raydp.init_spark(
            _APP,
            num_executors=settings.engine.executors,
            executor_cores=settings.engine.cores,
            executor_memory=settings.engine.memory,
            fault_tolerant_mode=False,
            # On top of everything: no setting opens the engine's ports to others.
            configs={**spark_conf(settings, all_jars(settings), port), **(spark_authentication() if own else {})},
        )
        del os.environ[CONNECT_TOKEN]
        close_accumulators(spark)
        agree_on_app_id(spark)
        self.state = replace(self.state, connect_port=port, token=token, ray_address=ray_address)
        self.report("waiting for the executors")
        spark.range(1).count()
        self.state = replace(self.state, phase="running", since=time.time())
        self.report("running")
        (st.folder(settings) / "last_used").touch()
        return spark

    def _start_ray(self) -> str:
        import ray

        engine = self.settings.engine
        address = ray_address(self.settings)
        if address:
            context: Any = ray.init(address=address, namespace=_APP, log_to_driver=False)
        else:
            with young_node(_failed):
                context = start_ray(
                    namespace=_APP,
                    object_store_memory=memory_bytes(engine.object_store_memory),
                    _temp_dir=str(ray_folder(self.settings)),
                )
            self.node = node_processes()
        return str(context.address_info["gcs_address"])

    def _owns_ray(self) -> bool:
        return ray_address(self.settings) is None

    def watch(self, spark: SparkSession) -> str:
        """Keeps the runner alive; returns why the engine ends."""
        settings = self.settings
        alone_since: float | None = None
        while not self._is_asked_to_stop(1.0):
            if not self.owns_state():
                return "its state file is gone"
            if spark._jsc.sc().isStopped():  # pyright: ignore
                return "Spark stopped"
            if first_ended(self.node):
                return "Ray's node ended"
            # RayDP's own replacement of an executor may not come; jobs would wait for ever.
            if executors(spark):
                alone_since = None
            elif alone_since is None:
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > LONE_SECONDS:
                return "its executors are gone"
            if self.runner is None or self.runner.poll() is not None:
                self._start_runner()
            if st.live_leases(settings):
                (st.folder(settings) / "last_used").touch()
            elif time.time() - last_used(settings) > settings.engine.idle_minutes * 60 and not st.retire(
                settings, self.state
            ):
                return f"idle for {settings.engine.idle_minutes:g} minutes"
        return "asked to stop"

    def _is_asked_to_stop(self, seconds: float) -> bool:
        try:
            self.asked_to_stop.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def _start_runner(self) -> None:
        if self.runner is not None:
            print(f"the Ray runner ended with {self.runner.returncode}; restarting it", flush=True)
        with (st.folder(self.settings) / "runner.log").open("ab") as log:
            self.runner = subprocess.Popen(
                [sys.executable, "-m", "drls_dagster.engine.runner", "--home", str(self.settings.home)],
                env={**os.environ, "DRLS_RAY_ADDRESS": self.state.ray_address},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def owns_state(self) -> bool:
        """Whether the state file is still about this engine, and not about the next one."""
        current = st.read_state(self.settings)
        return current is not None and current.engine_id == self.state.engine_id

    def leave(self, why: str) -> None:
        """Say that the engine ends: whoever comes now starts a new one, instead of joining."""
        self.state = replace(self.state, phase="stopping")
        if self.owns_state():
            self.report(f"stopping: {why}")
        else:
            print(f"stopping: {why}", flush=True)

    def stop(self) -> None:
        if first_ended(self.node):
            # Spark and Ray would ask the node to end, and wait for its answer.
            end_all(self.state.engine_id)
            return
        if self.runner is not None and self.runner.poll() is None:
            self.runner.terminate()
        import ray
        import raydp

        raydp.stop_spark()
        ray.shutdown()


def ray_address(settings: Settings) -> str | None:
    """The cluster to join; None to start Ray on this machine."""
    return settings.engine.ray_address or os.environ.get("RAY_ADDRESS") or None


def executors(spark: SparkSession) -> int:
    """How many executors Spark has."""
    infos = spark._jsc.sc().statusTracker().getExecutorInfos()  # pyright: ignore
    return len(infos) - 1  # the driver is one of them


def close_accumulators(spark: SparkSession) -> None:
    """Close PySpark's port for the accumulators of classic Python code: one client that says nothing would block it."""
    context = spark.sparkContext
    if context._accumulatorServer is not None:  # pyright: ignore
        context._accumulatorServer.shutdown()  # pyright: ignore
        context._accumulatorServer = None  # pyright: ignore


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_used(settings: Settings) -> float:
    try:
        return (st.folder(settings) / "last_used").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--home", type=Path, required=True)
    arguments.add_argument("--fingerprint", required=True)
    given = arguments.parse_args()
    settings = engine_settings(given.home)
    os.umask(0o077)  # whatever a process of the engine writes is its owner's
    own = ray_address(settings) is None
    java_options = [
        # RayDP starts executors with -Xms at the full size, which would never be given back. Of all ways to set options
        # only this variable comes after that.
        "-Xms64m",
        "-XX:-UsePerfData",  # a file in the system's temporary folder
        *java_places(settings),
        *(java_authentication() if own else ()),
        os.environ.get("_JAVA_OPTIONS", ""),
    ]
    os.environ.update(
        JAVA_HOME=str(find_java().path),
        # A cluster's machines know nothing of the launcher in this home.
        PYSPARK_PYTHON=spark_python(settings) if ray_address(settings) is None else sys.executable,
        PYSPARK_DRIVER_PYTHON=sys.executable,
        RAY_USAGE_STATS_ENABLED="0",
        # Ray's default is 15, and executors are Ray workers: a run would give way to all else on the machine.
        RAY_worker_niceness="0",
        _JAVA_OPTIONS=" ".join(java_options).strip(),
        TMPDIR=str(temporary_folder(settings)),
        SPARK_LOCAL_DIRS=str(spark_folder(settings)),
        # RayDP starts the executors with whatever `java` is first on the path.
        PATH=f"{find_java().path}/bin{os.pathsep}{os.environ.get('PATH', '')}",
    )
    if own:
        os.environ.update(ray_environment(settings))
        os.environ.update(engine_secrets())
    driver = Driver(settings, given.fingerprint)
    signal.signal(signal.SIGTERM, lambda *_: driver.asked_to_stop.put(None))
    # The terminal's Ctrl-C is for the command in front of it, not for the engine that others may use.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        why = driver.watch(started(driver))
        driver.leave(why)
        driver.stop()
    finally:
        if driver.owns_state() and driver.state.phase != "starting":
            # In this order: who finds no state starts an engine, which has its own things in these places.
            empty_places(settings)
            (st.folder(settings) / "state.json").unlink(missing_ok=True)
    if first_ended(driver.node):
        sys.stdout.flush()
        os._exit(0)  # what Spark and Ray do at the end of a process would wait too


def ray_environment(settings: Settings) -> dict[str, str]:
    """How Ray starts on this machine; what the environment says already is kept, but for what keeps it on loopback."""
    return {
        # Ray ends idle workers above this number, its CPUs by default, as soon as a second Ray job has brought some:
        # the runner's warm ones, and the next step waits for new ones.
        "RAY_num_workers_soft_limit": str((os.cpu_count() or 1) + SPARE_WORKERS),
        # Of a task that Ray ended because memory ran out; its default is without end.
        "RAY_task_oom_retries": str(RETRIES),
        # Ray gives its own node half a minute, which is too short on a machine that is busy.
        "RAY_raylet_start_wait_time_s": str(int(settings.engine.start_seconds)),
        **{name: value for name, value in os.environ.items() if name.startswith("RAY_")},
        # Everything is on this machine and listens on loopback only: so Spark's way to say it, and Ray's.
        "SPARK_LOCAL_IP": "127.0.0.1",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }


def started(driver: Driver) -> SparkSession:
    """The engine's Spark; ends the process with TRY_AGAIN where Ray or Spark failed to start."""
    try:
        return driver.start()
    except DrlsError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever Ray, RayDP and Spark raise)
        traceback.print_exc()
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", flush=True)
        raise SystemExit(TRY_AGAIN) from None


def _failed(name: str) -> None:
    """Ray waits for its process all the same: nothing but the end of this one stops that."""
    print(f"RuntimeError: Ray's {name} ended while Ray started", flush=True)
    os._exit(TRY_AGAIN)


if __name__ == "__main__":
    main()
