"""What a backup has in it, and whether it is still as it was written."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from drls_dagster.errors import DrlsError

FILE = "manifest.json"
FORMAT = 1
_BLOCK = 2**20

# By its name in a backup where each file belongs in DRLS_HOME. What says where the rest is comes last.
SETTINGS, TOKEN, KEY = "drls.toml", "secret", "signing-key.pem"
STORE, DUMP, LEDGER, CHATS, CATALOG = "lifecycle.db", "lifecycle.dump", "runs.db", "chats.db", "catalog.db"
SECRETS = (TOKEN, "webhook-secret", KEY)
PLACES = {
    SETTINGS: SETTINGS,
    LEDGER: LEDGER,
    CHATS: "agent/chats.db",
    CATALOG: "catalog/catalog.db",
    **{name: name for name in SECRETS},
    STORE: STORE,
}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Written(_Model):
    """A file of a backup."""

    bytes: int
    sha256: str


class AuditHead(_Model):
    """The newest entry of the audit log when the backup began: what is restored has it."""

    log: str
    sequence: int
    hash: str


class Manifest(_Model):
    """`catalog_file`: where a SQLite catalog was that lies outside DRLS_HOME. `catalog`: sqlite where the backup
    has it, none where there was none yet, else the type of the one that is elsewhere."""

    format: Literal[1] = FORMAT
    drls: str
    made_at: datetime
    store: Literal["sqlite", "postgresql"]
    catalog: str
    catalog_file: str | None = None
    audit: AuditHead
    files: dict[str, Written]


def written(file: Path) -> Written:
    """A file as it is now."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Written(bytes=size, sha256=digest.hexdigest())


def read_backup(folder: Path) -> Manifest:
    """The manifest of a backup whose files are all there and as they were written. Raises DrlsError otherwise."""
    try:
        text = (folder / FILE).read_bytes()
    except OSError as error:
        why = f"cannot read {FILE} ({error.strerror})"
        raise DrlsError(f"{folder} is no whole backup: {why}; use another one") from None
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["loc"] == ("format",):
            raise DrlsError(f"{folder} was written by a newer DRLS; restore it with that version") from None
        raise _damaged(folder, f"{FILE} cannot be read") from None
    for name, as_written in found.files.items():
        if name not in {*PLACES, DUMP} or PurePosixPath(name).name != name:
            raise _damaged(folder, f"{FILE} names {name!r}")
        file = folder / name
        if file.is_symlink() or not file.is_file():
            raise _damaged(folder, f"{name} is missing")
        if written(file) != as_written:
            raise _damaged(folder, f"{name} is not as it was written")
    needed = {KEY, STORE if found.store == "sqlite" else DUMP}
    if missing := needed - set(found.files):
        raise _damaged(folder, f"{FILE} does not name {min(missing)}")
    return found


def _damaged(folder: Path, why: str) -> DrlsError:
    return DrlsError(f"the backup {folder} is damaged: {why}; use another one")
