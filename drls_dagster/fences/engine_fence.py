"""The fence of the engine: what Spark and Ray work on, and nothing of the platform."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from drls_dagster.errors import UsageError
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import account_of, can_view, check_account, is_on
from drls_dagster.fences.places import device_places, given_places, python_places, resolved, without
from drls_dagster.lakehouse.catalog_config import parse_sql_uri, resolve_catalog
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

# Root's, in the engine: to work on files of other accounts, and to give steps an account of their own.
_DAC_OVERRIDE, _FOWNER, _KILL = 1, 3, 5
_FOR_ACCOUNTS = (0, 6, 7)  # chown, setgid, setuid
# What the C library asks for an account's name, which Hadoop wants to know of this one. They answer nothing else.
_NAME_SERVICES = ("/run/nscd/socket", "/var/lib/sss/pipes/nss", "/run/systemd/userdb")


def engine_fence(settings: Settings, *, read: Sequence[str] = (), write: Sequence[str] = ()) -> Fence | None:
    """The fence around the whole tree of the engine's processes; None where there is none.

    `read` and `write` are further places, such as its Java and Ray's folder. Folders that do not exist are made,
    because a fence knows folders and not names. Raises FenceRequired, and UsageError where the catalog's SQLite
    file is among the platform's own files.
    """
    if not is_on(settings):
        return None
    check_account(settings)
    home = settings.home.resolve()
    landing = _made(_local(settings.landing_for(one)) for one in Environment)
    # What the next engine starts with is only read; the platform downloads it.
    reads = [*landing, *_both(str(settings.pipeline_folder)), str(private_home(settings.home, "jars"))]
    writes = [str(private_home(settings.home, "engine")), *_made([_local(settings.staging)])]
    writes += [*_made([_local(resolve_catalog(settings).warehouse or "")]), *_catalog_folder(settings)]
    reads = [
        *without((*python_places(), sys.executable, *_NAME_SERVICES, *_roots(settings)), home),
        *given_places(settings.fence.read, home),
        *reads,
        *read,
    ]
    writes = [*device_places(), "/dev/shm", *given_places(settings.fence.write, home), *writes, *write]  # noqa: S108
    account = account_of(settings)
    return Fence(
        read=tuple(reads),
        write=tuple(writes),
        unix_sockets=True,
        strict=False,
        view=can_view(),
        # Its parents could not see a process that has become another account.
        own_proc=account is None,
        capabilities=(_DAC_OVERRIDE, _FOWNER, _KILL, *(() if account is None else _FOR_ACCOUNTS)),
    )


def _roots(settings: Settings) -> tuple[str, ...]:
    """The folders besides landing that file sources of any environment may name. DRLS does not make them."""
    found = {root for environment in Environment for root in settings.roots_for(environment)}
    return tuple(place for place in resolved(sorted(one for one in found if "://" not in one)) if Path(place).exists())


def _platform_places(settings: Settings) -> list[Path]:
    """The home, the store and Dagster's storage, of those on this machine."""
    places = [settings.home, Path(os.environ.get("DAGSTER_HOME") or settings.home)]
    store = settings.lifecycle.url or ""
    return [*places, Path(store.partition(":///")[2])] if store.startswith("sqlite:///") else places


def _local(place: str) -> str | None:
    """The path of a place on this machine; None for one in a bucket."""
    path = place.removeprefix("file://")
    return path if path.startswith("/") else None


def _made(places: Iterable[str | None]) -> list[str]:
    found = sorted({one for one in places if one})
    for one in found:
        Path(one).mkdir(mode=0o700, parents=True, exist_ok=True)
    return [name for one in found for name in _both(one)]


def _both(place: str) -> tuple[str, ...]:
    """A place as settings name it, by which the engine looks for it, and without links."""
    return tuple(dict.fromkeys((os.path.abspath(place), str(Path(place).resolve()))))


def _catalog_folder(settings: Settings) -> list[str]:
    """SQLite keeps further files next to its database, so Spark needs the folder."""
    config = resolve_catalog(settings)
    if config.protocol != "sql":
        return []
    url = parse_sql_uri(config.uri or "")
    if url.drivername != "sqlite":
        return []
    folder = Path(url.database or "").parent
    if any(one.resolve().is_relative_to(folder.resolve()) for one in _platform_places(settings)):
        raise UsageError(
            f"catalog.uri: {folder} also holds the platform's own files; move the catalog's database into a folder of "
            "its own"
        )
    return _made([str(folder)])
