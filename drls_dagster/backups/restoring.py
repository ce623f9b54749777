"""Restoring a backup on a machine that has no lifecycle: everything is checked first, and the store comes last."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, inspect, make_url
from sqlalchemy.exc import DatabaseError

from drls_dagster.backups.manifest import (
    CATALOG,
    DUMP,
    KEY,
    PLACES,
    STORE,
    TOKEN,
    Manifest,
    read_backup,
    written,
)
from drls_dagster.backups.verifying import has_entry, verified
from drls_dagster.errors import DrlsError
from drls_dagster.kept_tokens import keep_token
from drls_dagster.lifecycle_client.opening import host, os_user
from drls_dagster.private_home import make_private, private_home
from drls_dagster.settings import Settings, reload_settings
from lifecycle.audit import Verdict, load_signing_key
from lifecycle.domain.people import WayIn, system_actor
from lifecycle.errors import StoreError
from lifecycle.ports import SystemClock
from lifecycle.store.engine import is_sqlite, open_engine
from lifecycle.store.migrating import SchemaState
from lifecycle.store.schema import describe, run_program, schema_state
from lifecycle.store.store import Store

STAGE = ".restoring"
# What a backup does not have: people put it back themselves, before or after.
_DATA = frozenset({"warehouse", "landing", "pipelines", "staging", "lost+found", STAGE})


@dataclass(frozen=True)
class Restored:
    """`kept_catalog`: a SQLite catalog outside DRLS_HOME that was there, and stays."""

    manifest: Manifest
    verdict: Verdict
    settings: Settings
    kept_catalog: Path | None


def restore(folder: Path, home: Path, keys: Iterable[str] = ()) -> Restored:
    """Restores a backup to `home`. Repeat it after it was interrupted.

    Raises DrlsError, and leaves `home` without a store, for a home or a database in use, a damaged backup, and an
    audit log or rows that are not as they were written. `keys`: further public keys that signed the log.
    """
    folder = folder.resolve()
    manifest = read_backup(folder)
    _check_home(home, manifest)
    stage = private_home(home, STAGE)
    try:
        verdict, kept = _restore(folder, home, stage, manifest, keys)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    settings = reload_settings(home)
    if (home / TOKEN).is_file():
        # The note next to it says which store it opens.
        keep_token(settings, (home / TOKEN).read_text().strip())
    return Restored(manifest, verdict, settings, kept)


def _restore(
    folder: Path, home: Path, stage: Path, manifest: Manifest, keys: Iterable[str]
) -> tuple[Verdict, Path | None]:
    _copy(folder, stage, manifest)
    settings = reload_settings(stage)
    engine = open_engine(_target(settings, stage, manifest))
    try:
        _fill(engine, folder / DUMP, manifest)
        verdict = _check_store(engine, folder, stage, manifest, keys)
    except DatabaseError as error:
        raise DrlsError(f"cannot restore to {describe(engine)}: {error.orig}") from None
    finally:
        engine.dispose()
    return verdict, _place(stage, home, manifest)


def _check_home(home: Path, manifest: Manifest) -> None:
    """Only what an interrupted restore of this very backup put there may be there."""
    if not home.exists():
        return
    remedy = "name an empty folder in DRLS_HOME, or move it away"
    interrupted = (home / STAGE).is_dir()
    if interrupted and (home / STORE).exists():
        shutil.rmtree(home / STAGE)
        raise DrlsError(f"{home} is restored already; run: drls db check, then drls drift list")
    for name, place in PLACES.items():
        file, known = home / place, manifest.files.get(name)
        if file.exists() and not (interrupted and known is not None and written(file) == known):
            raise DrlsError(f"{home} is in use: it has {place}; {remedy}")
    ours = {place.partition("/")[0] for place in PLACES.values()}
    others = sorted(one.name for one in home.iterdir() if one.name not in _DATA | ours)
    if others:
        raise DrlsError(f"{home} is not empty: it has {others[0]}; {remedy}")
    # Nothing of it is used again: it may be half a copy.
    shutil.rmtree(home / STAGE, ignore_errors=True)


def _copy(folder: Path, stage: Path, manifest: Manifest) -> None:
    for name, as_written in manifest.files.items():
        if name == DUMP:
            continue
        to = stage / name
        to.touch(mode=0o600)
        shutil.copyfile(folder / name, to)
        if written(to) != as_written:
            raise DrlsError(f"{name} could not be copied to {stage} as it was written; is the disk full?")


def _target(settings: Settings, stage: Path, manifest: Manifest) -> str:
    """The address of the store: the copy that becomes the store, or the database that the settings name."""
    given = settings.lifecycle.url
    if manifest.store == "postgresql":
        if given is None or make_url(given).get_backend_name() != "postgresql":
            raise DrlsError("this backup is of a PostgreSQL store; name an empty database in DRLS_LIFECYCLE__URL")
        return given
    if given is not None:
        raise DrlsError(
            "this backup goes to a file in DRLS_HOME, and lifecycle.url names another place; unset DRLS_LIFECYCLE__URL"
        )
    return f"sqlite:///{stage / STORE}"


def _fill(engine: Engine, dump: Path, manifest: Manifest) -> None:
    """Puts the dump into an empty database, whole or not at all."""
    if is_sqlite(engine):
        return
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
    if not names:
        whole = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        run_program(engine, "pg_restore", *whole, str(dump))
        return
    # An interrupted restore of this backup has filled it.
    newest = manifest.audit
    if schema_state(engine) is not SchemaState.CURRENT or not has_entry(engine, newest.sequence, newest.hash):
        remedy = "name an empty database in DRLS_LIFECYCLE__URL"
        raise DrlsError(f"{describe(engine)} is not empty: it has {names[0]}; {remedy}")


def _check_store(engine: Engine, folder: Path, stage: Path, manifest: Manifest, keys: Iterable[str]) -> Verdict:
    """Its audit log and rows are whole. The log then says that it was restored."""
    match schema_state(engine):
        case SchemaState.CURRENT:
            pass
        case SchemaState.NEWER:
            raise StoreError(f"{folder} was written by a newer DRLS, {manifest.drls}; restore it with that version")
        case _:
            raise StoreError(
                f"{folder} was written by an older DRLS, {manifest.drls}; restore it with that version, then upgrade "
                "and run: drls db upgrade"
            )
    key = load_signing_key(stage / KEY)
    verdict = verified(engine, [key.public, *keys])
    newest = manifest.audit
    if not has_entry(engine, newest.sequence, newest.hash):
        raise StoreError(f"the audit log in {folder} lacks its entry {newest.sequence}; use another backup")
    store = Store(engine, key, SystemClock())
    actor = system_actor("restore", WayIn.CLI, host(), os_user())
    with store.write(actor, "restore") as unit:
        made = manifest.made_at.isoformat()
        unit.audit("installation.restored", "installation:backup", made_at=made, sequence=newest.sequence)
    store.close()
    return verdict


def _place(stage: Path, home: Path, manifest: Manifest) -> Path | None:
    """Moves everything to where it belongs, the store last. A catalog outside DRLS_HOME that is there stays."""
    kept = None
    for name, place in PLACES.items():
        if name not in manifest.files:
            continue
        to = home / place
        if name == CATALOG and manifest.catalog_file is not None:
            to = Path(manifest.catalog_file)
            if to.exists():
                kept = to
                continue
        make_private(to.parent)
        # Across file systems it is copied.
        shutil.move(stage / name, to)
    return kept
