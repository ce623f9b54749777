"""What `drls doctor` looks at. A check reads and changes nothing; CHECKS is the list to add one to."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal
from urllib.parse import urlsplit

from drls_dagster.cli.output import in_words
from drls_dagster.engine.java import find_java
from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.settings import Settings, load_settings

PORTS = {"approvals app": 3000, "Dagster": 3001, "MCP": 8100}
_LITTLE_DISK = 10 * 10**9
_NO_DISK = 10**9
# Dagster's processes, the app and Ray's own, besides the engine's settings.
_MEMORY_BESIDE_THE_ENGINE = 2 * 10**9
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Finding:
    """What a check found; `remedy` says what to do unless all is well."""

    check: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str | None = None


def run_checks() -> list[Finding]:
    """All findings; without readable settings, only of those checks that need none."""
    try:
        settings = load_settings()
    except DrlsError as error:
        return [_guarded(check) for check in (python, java)] + [Finding("settings", "fail", error.message)]
    return [_guarded(check) for check in (python, java)] + [_guarded(check, settings) for check in CHECKS]


def python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding("python", "ok", f"{version} at {sys.executable}")
    return Finding("python", "fail", f"{version} at {sys.executable}", "Install Python 3.11 or 3.12.")


def java() -> Finding:
    home = find_java()
    return Finding("java", "ok", f"{home.version} at {home.path}")


def settings_file(settings: Settings) -> Finding:
    file = settings.home / "drls.toml"
    if not file.is_file():
        return Finding("settings", "ok", f"defaults ({file} does not exist)")
    unknown = sorted(tomllib.loads(file.read_text()).keys() - Settings.model_fields.keys())
    if unknown:
        return Finding("settings", "warn", f"{file} has unknown names: {', '.join(unknown)}", "Remove them.")
    return Finding("settings", "ok", str(file))


def home_permissions(settings: Settings) -> Finding:
    home = settings.home
    quoted = quote(str(home))
    if not home.exists():
        return Finding("home", "ok", f"{home} is created on first use")
    if not home.is_dir() or not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "home", "fail", f"{home} is not a folder you can write to", "Set DRLS_HOME to a folder you can write to."
        )
    status = home.stat()
    if status.st_uid != os.getuid():
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            detail = f"{home} belongs to another user and is accessible to others, so DRLS refuses to use it"
            return Finding("home", "fail", detail, f"Ask its owner to run: chmod 700 {quoted}")
        return Finding("home", "warn", f"{home} belongs to another user", f"Run: sudo chown -R $(id -un) {quoted}")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("home", "warn", f"other users can read {home}", f"Run: chmod 700 {quoted}")
    return Finding("home", "ok", f"{home}, accessible only to you")


def disk(settings: Settings) -> Finding:
    place = next(path for path in (settings.home, *settings.home.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    detail = f"{in_words(free)} free at {place}"
    if free < _LITTLE_DISK:
        state = "fail" if free < _NO_DISK else "warn"
        return Finding("disk", state, detail, "Free some space, or set DRLS_HOME to a larger disk.")
    return Finding("disk", "ok", detail)


def memory(settings: Settings) -> Finding:
    import psutil

    total = psutil.virtual_memory().total
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else "max"
    if limit.isdigit():
        total = min(total, int(limit))
    engine = settings.engine
    needed = _MEMORY_BESIDE_THE_ENGINE + _size(engine.driver_memory)
    if engine.ray_address is None and "RAY_ADDRESS" not in os.environ:
        needed += engine.executors * _size(engine.memory) + _size(engine.object_store_memory)
    detail = f"{in_words(total)}; the engine's settings need about {in_words(needed)}"
    if total < needed:
        return Finding("memory", "warn", detail, "Lower engine.executors or engine.memory in drls.toml.")
    return Finding("memory", "ok", detail)


def ports(settings: Settings) -> Finding:
    from drls_dagster.orchestrator.running_up import running_up

    up = running_up(settings)
    own = urlsplit(up.url).port if up else None
    taken = [f"{port} ({name})" for name, port in PORTS.items() if port != own and not _is_free(port)]
    if taken:
        remedy = "This is fine if DRLS uses them; otherwise stop the process that listens there."
        return Finding("ports", "warn", f"in use: {', '.join(taken)}", remedy)
    if up:
        return Finding("ports", "ok", f"`drls up` runs in this home at {up.url}; the other ports are free")
    return Finding("ports", "ok", f"free: {', '.join(str(port) for port in PORTS.values())}")


def catalog(settings: Settings) -> Finding:
    from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
    from drls_dagster.lakehouse.catalog_config import resolve_catalog

    config = resolve_catalog(settings)
    file = Path((config.uri or "").removeprefix("sqlite:///"))
    if (config.uri or "").startswith("sqlite:") and not file.exists():
        return Finding("catalog", "ok", f"{file} is created on first use")
    with catalog_errors(config):
        count = len(load_catalog(settings).list_namespaces())
    return Finding("catalog", "ok", f"{config.name} at {config.uri or config.protocol}, {count} namespaces")


def jars(settings: Settings) -> Finding:
    from drls_dagster.engine.jars import missing

    wanted = missing(settings)
    if wanted:
        names = ", ".join(path.name for path in wanted)
        return Finding(
            "jars", "warn", f"not downloaded yet: {names}", "Nothing to do: the first engine start downloads them."
        )
    return Finding("jars", "ok", f"all in {settings.home / 'jars'}")


def engine(settings: Settings) -> Finding:
    from drls_dagster.engine.client import status

    if settings.engine.spark_connect:
        return Finding("engine", "ok", "an external endpoint (engine.spark_connect)")
    told = status(settings)
    if told.state == "dead":
        return Finding("engine", "warn", told.detail, "Nothing to do; to start it now, run: drls engine start")
    return Finding("engine", "ok", told.state if told.detail == told.state else f"{told.state}: {told.detail}")


def fence(settings: Settings) -> Finding:
    from drls_dagster.fences.facts import fence_facts
    from drls_dagster.fences.fences import check_account

    try:
        check_account(settings)
    except UsageError as error:
        return Finding("fence", "fail", error.message, "No code of a pipeline runs until this setting is changed.")
    facts = fence_facts(settings)
    if facts.kind.holds:
        return Finding("fence", "ok", f"pipeline code is fenced: {facts.detail}; {_network_of(settings)}")
    if settings.fence.mode == "required":
        return Finding("fence", "fail", facts.detail, "No run starts, because fence.mode is required.")
    remedy = (
        "Give the role DataEngineer only to people whom you would let act as this account. See docs/how-to/fences.md."
    )
    return Finding("fence", "warn", facts.detail, remedy)


def _network_of(settings: Settings) -> str:
    match settings.fence.network:
        case "open":
            return "the network is open to it"
        case "listed":
            ports = ", ".join(str(port) for port in settings.fence.ports)
            return f"it can reach TCP ports {ports}" if ports else "it can reach no TCP port besides its run's"
        case "none":
            return "it has no network"


def gate(settings: Settings) -> Finding:
    from drls_dagster.orchestrator.dagster_yaml import GATE_LINES, missing_gate

    folders = {settings.home / "dagster", *([Path(os.environ["DAGSTER_HOME"])] if "DAGSTER_HOME" in os.environ else [])}
    files = [folder / "dagster.yaml" for folder in sorted(folders) if folder.is_dir()]
    missing = [f"{file}: {told}" for file in files for told in missing_gate(file)]
    if not missing:
        detail = "Dagster asks before each launch" if files else "no Dagster instance yet"
        return Finding("gate", "ok", detail)
    remedy = f"Add these two lines to it: {' and '.join(GATE_LINES)}. See docs/how-to/dagster-project.md."
    return Finding("gate", "fail", "; ".join(missing), remedy)


def sensors(settings: Settings) -> Finding:
    from drls_dagster.orchestrator.stopped import stopped_sensors

    stopped = stopped_sensors(settings)
    if stopped:
        return Finding("sensors", "fail", "; ".join(stopped), "Start each one in Dagster, under Automation.")
    return Finding("sensors", "ok", "all sensors that maintain the installation are running")


def lifecycle(settings: Settings) -> Finding:
    if settings.url:
        return Finding("lifecycle", "ok", f"the server at {settings.url}")
    from sqlalchemy import make_url

    from drls_dagster.lifecycle_client.opening import store_url
    from lifecycle.store.engine import open_engine
    from lifecycle.store.schema import SchemaState, describe, schema_state

    url = make_url(store_url(settings))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return Finding("lifecycle", "ok", f"{url.database} is created on first use")
    store = open_engine(str(store_url(settings)))
    try:
        state, where = schema_state(store), describe(store)
    finally:
        store.dispose()
    match state:
        case SchemaState.CURRENT:
            return Finding(
                "lifecycle", "ok", f"{where}; anyone who can write to it or read its keys controls its contents"
            )
        case SchemaState.NEWER:
            return Finding("lifecycle", "fail", f"{where} was written by a newer DRLS", "Install that version.")
        case _:
            return Finding("lifecycle", "warn", f"{where} is {state.value}", "Run `drls db upgrade`.")


def ledger(settings: Settings) -> Finding:
    from drls_dagster.ledger import check_ledger
    from lifecycle.store.migrating import SchemaState

    where, state = check_ledger(settings)
    if state is SchemaState.CURRENT:
        return Finding("ledger", "ok", where)
    return Finding("ledger", "ok", f"{where} is {'made' if state is SchemaState.EMPTY else 'migrated'} by the next run")


# Each takes the settings; a DrlsError that it raises is a failure, its message the detail.
CHECKS: list[Callable[[Settings], Finding]] = [
    settings_file,
    home_permissions,
    disk,
    memory,
    ports,
    catalog,
    jars,
    engine,
    fence,
    lifecycle,
    ledger,
    gate,
    sensors,
]


def _guarded(check: Callable[..., Finding], *arguments: Settings) -> Finding:
    name = check.__name__.partition("_")[0]
    try:
        return check(*arguments)
    except DrlsError as error:
        return Finding(name, "fail", error.message)
    except Exception as error:  # noqa: BLE001 the other checks must still be seen
        return Finding(name, "fail", f"{type(error).__name__}: {error}")


def _size(text: str) -> int:
    return int(text[:-1]) * {"m": 2**20, "g": 2**30}[text[-1]]


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
