"""The jars that Spark needs, resolved once into DRLS_HOME/jars and used from there, offline, ever after.

The platform fetches them before it starts an engine, which can read that folder and not change it: what runs in an
engine must not decide what the next one loads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from drls_dagster.connections.databases import POSTGRESQL as POSTGRESQL_DATABASE
from drls_dagster.engine.handover import engine_environment
from drls_dagster.engine.java import find_java
from drls_dagster.errors import DrlsError
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import confined, is_on
from drls_dagster.fences.places import device_places, python_places, without
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings

ICEBERG = "1.12.0"
BASE = (
    f"org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:{ICEBERG}",
    "org.xerial:sqlite-jdbc:3.50.3.0",
)
POSTGRESQL = POSTGRESQL_DATABASE.jar
AWS = f"org.apache.iceberg:iceberg-aws-bundle:{ICEBERG}"


def coordinates(settings: Settings) -> tuple[str, ...]:
    """Maven coordinates that this configuration needs."""
    catalog = settings.catalog
    wanted: list[str] = list(BASE)
    if (catalog.uri or "").startswith("postgresql"):
        wanted.append(POSTGRESQL)
    if catalog.type == "glue" or (catalog.warehouse or "").startswith(("s3://", "s3a://")):
        wanted.append(AWS)
    # Not later and per session: errors of executors name classes of the driver, and the engine must know those.
    wanted += sorted({jar for one in settings.all_connections for jar in one.jars} - set(wanted))
    return tuple(wanted)


def given_jars(settings: Settings) -> tuple[str, ...]:
    """The drivers' jars that connections name on this machine."""
    return tuple(sorted({jar for one in settings.all_connections if (jar := one.given_jar) is not None}))


def jar_path(settings: Settings, coordinate: str) -> Path:
    _, artifact, version = coordinate.split(":")
    return settings.home / "jars" / f"{artifact}-{version}.jar"


def jar_paths(settings: Settings) -> list[Path]:
    """The jars to download that this configuration needs, there or not."""
    return [jar_path(settings, coordinate) for coordinate in coordinates(settings)]


def all_jars(settings: Settings) -> list[Path]:
    """What the engine loads: those, and the jars that connections name."""
    return [*jar_paths(settings), *(Path(one) for one in given_jars(settings))]


def missing(settings: Settings) -> list[Path]:
    """The jars that the next engine start would have to fetch."""
    return [path for path in jar_paths(settings) if not path.is_file()]


def ensure_jars(settings: Settings, report: Callable[[str], None] = lambda _: None) -> None:
    """Fetches the jars that are missing through Spark's own resolver.

    Raises DrlsError when they cannot be had, with what to do.
    """
    given = [Path(one) for one in given_jars(settings)]
    absent = [one for one in given if not one.is_file()]
    if absent:
        raise DrlsError(f"{absent[0]}, which a connection names as its driver's jar, is no file; correct its jar")
    folder = private_home(settings.home, "jars")
    with FileLock(folder / ".lock"):
        wanted = [c for c in coordinates(settings) if not jar_path(settings, c).is_file()]
        if wanted:
            report(f"downloading {len(wanted)} jars (only this once)")
            _resolve(settings, wanted, folder / ".ivy")
            for coordinate in wanted:
                group, artifact, version = coordinate.split(":")
                resolved = folder / ".ivy" / "jars" / f"{group}_{artifact}-{version}.jar"
                if not resolved.is_file():
                    raise DrlsError(
                        f"{coordinate} could not be downloaded. Check the network, set engine.maven_mirror in "
                        f"{settings.home / 'drls.toml'}, or put the jar at {jar_path(settings, coordinate)}"
                    )
                # The rename makes a half-copied jar impossible.
                partial = jar_path(settings, coordinate).with_suffix(".part")
                shutil.copyfile(resolved, partial)
                partial.rename(jar_path(settings, coordinate))
            shutil.rmtree(folder / ".ivy", ignore_errors=True)


def _resolve(settings: Settings, wanted: list[str], ivy: Path) -> None:
    """Have Spark put them into the new folder `ivy`, in a process that can change nothing else."""
    shutil.rmtree(ivy, ignore_errors=True)
    ivy.mkdir(mode=0o700)
    conf = {"spark.jars.packages": ",".join(wanted), "spark.jars.ivy": str(ivy)}
    if settings.engine.maven_mirror:
        mirror = ivy / "mirror.xml"
        mirror.write_text(
            '<ivysettings><settings defaultResolver="mirror"/><resolvers>'
            f'<ibiblio name="mirror" m2compatible="true" root="{settings.engine.maven_mirror}"/>'
            "</resolvers></ivysettings>"
        )
        conf["spark.jars.ivySettings"] = str(mirror)
    # A gateway JVM without a Spark context does nothing but resolve; it ends with this process.
    code = (
        "import sys, json; from pyspark import SparkConf; from pyspark.java_gateway import launch_gateway\n"
        "conf = SparkConf(False)\n"
        "[conf.set(k, v) for k, v in json.loads(sys.argv[1]).items()]\n"
        "launch_gateway(conf).shutdown()"
    )
    java = find_java().path
    places = " ".join(f'"-D{name}={ivy}"' for name in ("java.io.tmpdir", "user.home"))
    own = {
        "JAVA_HOME": str(java),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TMPDIR": str(ivy),
        "HOME": str(ivy),
        "_JAVA_OPTIONS": f"-XX:-UsePerfData {places} {os.environ.get('_JAVA_OPTIONS', '')}".strip(),
    }
    log = ivy.parent / "resolve.log"
    with log.open("w") as out:
        done = subprocess.run(
            confined(_fence(settings, java, ivy), [sys.executable, "-c", code, json.dumps(conf)]),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=engine_environment(settings, **own),
            timeout=settings.engine.start_seconds,
            check=False,
        )
    if done.returncode:
        raise DrlsError(
            "Spark's jars could not be downloaded. Check the network or set engine.maven_mirror in "
            f"{settings.home / 'drls.toml'}; details are in {log}"
        )


def _fence(settings: Settings, java: Path, ivy: Path) -> Fence | None:
    if not is_on(settings):
        return None
    own = Path(__file__).resolve().parents[2]
    reads = without((*python_places(), str(own), str(java.resolve())), settings.home.resolve())
    return Fence(read=reads, write=(*device_places(), str(ivy)))
