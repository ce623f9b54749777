"""The fence of the engine: what Spark and Ray work on, and nothing of the platform."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from drls_dagster.errors import UsageError
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import account_of, can_hide, check_account, is_on
from drls_dagster.fences.places import device_places, given_places, python_places, resolved, without
from drls_dagster.fences.reach import closed_folders
from drls_dagster.lakehouse.catalog_config import parse_sql_uri, resolve_catalog
from drls_dagster.settings import Settings, private_home
from lifecycle.domain.environment import Environment

# Root's, in the engine: to work on files of other accounts, and to give steps an account of their own.
_CHOWN, _DAC_OVERRIDE, _FOWNER, _KILL, _SETGID, _SETUID = 0, 1, 3, 5, 6, 7
_OWN = ("engine", "jars")


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
    reads = [*_made(_local(settings.landing_for(one)) for one in Environment), str(settings.pipeline_folder.resolve())]
    writes = [*(str(private_home(settings.home, name)) for name in _OWN), *_made([_local(settings.staging)])]
    writes += [*_made([_local(resolve_catalog(settings).warehouse or "")]), *_catalog_folder(settings)]
    reads = [
        *without((*python_places(), *_roots(settings)), home),
        *given_places(settings.fence.read, home),
        *reads,
        *read,
    ]
    writes = [*device_places(), "/dev/shm", *given_places(settings.fence.write, home), *writes, *write]  # noqa: S108
    account = account_of(settings)
    # What starts in here as another account finds the way to what it may reach; nobody in here can mount.
    closed = () if account is None else closed_folders((*reads, *writes), account)
    return Fence(
        read=tuple(reads),
        write=tuple(writes),
        unix_sockets=True,
        strict=False,
        hide=(str(home), *closed) if can_hide() else (),
        capabilities=(_CHOWN, _DAC_OVERRIDE, _FOWNER, _KILL, _SETGID, _SETUID),
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
    found = sorted({str(Path(one).resolve()) for one in places if one})
    for one in found:
        Path(one).mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


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
