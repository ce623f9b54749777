"""Find the Java that Spark runs on: a JDK or JRE 17 or 21.

`python -m drls_dagster.engine.java` prints its home, or one line that says what to run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drls_dagster.errors import DrlsError

SUPPORTED_VERSIONS = (17, 21)
INSTALL_LINE = "sudo apt-get update && sudo apt-get install -y openjdk-17-jre-headless"
_JVM_FOLDER = Path("/usr/lib/jvm")


@dataclass(frozen=True)
class JavaHome:
    """A usable Java: `path` is what JAVA_HOME must say, `version` its feature release (17 or 21)."""

    path: Path
    version: int


def find_java() -> JavaHome:
    """The first Java 17 or 21 among JAVA_HOME, PATH and /usr/lib/jvm, in this order.

    Raises DrlsError with the line that installs one, and naming what was found instead.
    """
    unsuitable: list[str] = []
    for home in _candidates():
        version = java_version(home)
        if version in SUPPORTED_VERSIONS:
            return JavaHome(home, version)
        if version:
            unsuitable.append(f"Java {version} at {home}")
    found = f" (found only {', '.join(unsuitable)})" if unsuitable else ""
    raise DrlsError(f"Spark needs Java 17 or 21{found}. Run: {INSTALL_LINE}; or set JAVA_HOME to one.")


def java_version(home: Path) -> int | None:
    """The feature release of the Java in `home`, None where there is no working one."""
    java = home / "bin" / "java"
    if not os.access(java, os.X_OK):
        return None
    # Reading the release file takes no JVM start; some distributions leave it out.
    release = home / "release"
    text = release.read_text(errors="replace") if release.is_file() else ""
    match = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    if match is None:
        try:
            result = subprocess.run(
                [java, "-version"], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        match = re.search(r'version "(\d+)', result.stderr + result.stdout)
    return int(match[1]) if match else None


def _candidates() -> Iterator[Path]:
    seen: set[Path] = set()
    for home in _places():
        real = home.resolve()
        if real not in seen:
            seen.add(real)
            yield real


def _places() -> Iterator[Path]:
    if java_home := os.environ.get("JAVA_HOME"):
        yield Path(java_home)
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent
    if _JVM_FOLDER.is_dir():
        yield from sorted(_JVM_FOLDER.iterdir())


if __name__ == "__main__":
    try:
        print(find_java().path)
    except DrlsError as error:
        sys.exit(error.message)
