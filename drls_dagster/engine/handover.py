"""What the engine's processes are given of the platform: the settings that are theirs, and an environment.

They run the SQL and file sources of every pipeline, so they get nothing with which to act as somebody: no address of
the store, no secret of the web app. The catalog's credentials are among what they need.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from drls_dagster.fences.environment import code_environment
from drls_dagster.fences.fences import is_on
from drls_dagster.settings import Settings
from lifecycle.private_files import write_private

_SECTIONS = {"landing", "catalog", "engine", "fence", "connections", "environments"}
_NAMES = {
    *(
        "DRLS_HOME",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
    ),
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "MALLOC_ARENA_MAX", "LD_PRELOAD"),
}
# Of the storage and the catalog, of Ray, Spark and Hadoop.
_PREFIXES = (
    *("AWS_", "GOOGLE_", "CLOUDSDK_", "AZURE_", "KRB5", "RAY_", "SPARK_", "HADOOP_", "HIVE_", "YARN_"),
    *("COVERAGE_", "LC_"),
)
_AWS_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}


def hand_over(settings: Settings) -> None:
    """Write the engine's settings where its processes read them. Of credentials there are only the places.

    Where there is a fence, they run nothing without it: what they find from inside their own does not decide.
    """
    if is_on(settings) and not joins_a_cluster(settings):
        fence = settings.fence.model_copy(update={"mode": "required"})
        settings = settings.model_copy(update={"fence": fence})
    write_private(_file(settings.home), settings.model_dump_json(include=_SECTIONS))


def engine_settings(home: Path) -> Settings:
    """The settings of an engine's process: what the environment says is among them already."""
    values = json.loads(_file(home).read_text())
    return Settings(**{**values, "home": home}).model_copy(update={"home": home})


def engine_environment(settings: Settings, **more: str) -> dict[str, str]:
    """The variables of the engine's processes; `more` are put on top. `fence.environment` names further ones."""
    named = {source.removeprefix("env:") for source in settings.catalog.secrets.values() if source.startswith("env:")}
    if settings.catalog.type == "sql":
        named |= {"PGUSER", "PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT"}

    given = os.environ.items()
    found = {name: value for name, value in given if name in _NAMES | named or name.startswith(_PREFIXES)}
    own = code_environment(settings, settings.home / "engine" / "tmp")
    # HOME is not theirs, so what is looked for there is named.
    files = {name: path for name, path in _AWS_FILES.items() if Path(path).expanduser().is_file()}
    known = {name: str(Path(path).expanduser()) for name, path in files.items()}
    if joins_a_cluster(settings):
        known["RAY_AUTH_TOKEN_PATH"] = str(Path("~/.ray/auth_token").expanduser())
    return {**known, **own, **found, "PYTHONUNBUFFERED": "1", **more}


def credential_files(settings: Settings) -> tuple[str, ...]:
    """The files from which the catalog's and the storage's credentials are read."""
    sources = settings.catalog.secrets.values()
    named = [source.removeprefix("file:") for source in sources if source.startswith("file:")]
    given = [os.environ.get(name, default) for name, default in _AWS_FILES.items()]
    given += [os.environ.get(name) for name in ("GOOGLE_APPLICATION_CREDENTIALS", "AWS_WEB_IDENTITY_TOKEN_FILE")]
    given += [os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")] if joins_a_cluster(settings) else []
    return tuple(str(Path(one).expanduser().absolute()) for one in (*named, *given) if one)


def certificates(settings: Settings) -> tuple[str, ...]:
    """The files that connections name, such as the certificate of a server's authority."""
    return tuple(sorted({file for one in settings.all_connections for file in one.read_files}))


def joins_a_cluster(settings: Settings) -> bool:
    return bool(settings.engine.ray_address or os.environ.get("RAY_ADDRESS"))


def _file(home: Path) -> Path:
    return home / "engine" / "settings.json"
