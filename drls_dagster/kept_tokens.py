"""The token that `drls login` keeps in DRLS_HOME, and which store or server it opens."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from pydantic import BaseModel, ValidationError

from drls_dagster.errors import DrlsError
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings
from lifecycle.private_files import is_private, write_private


class _Belongs(BaseModel):
    """What is noted next to a token. `starting`: a first start wrote it and may have been interrupted."""

    store: str
    token: str
    starting: bool = False


def token_file(settings: Settings) -> Path:
    """Where the token for this store or this server is kept, readable by its owner alone."""
    if settings.url is None:
        return settings.home / "secret"
    return settings.home / f"secret-{re.sub(r'[^A-Za-z0-9.-]', '_', settings.url.partition('://')[2])}"


def kept_token(settings: Settings) -> str | None:
    """The token to act with; None when nobody is signed in. Raises DrlsError when others can read the file."""
    given = os.environ.get("DRLS_TOKEN")
    if given:
        return given.strip()
    file = token_file(settings)
    try:
        if not is_private(file):
            raise DrlsError(f"{file} is readable by other users; run: chmod 600 {file}")
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None


def keep_token(settings: Settings, token: str, *, starting: bool = False) -> Path:
    """Writes the token so that no other user ever sees it, and that it is there after a power failure."""
    private_home(settings.home)
    file = token_file(settings)
    belongs = _Belongs(store=_store(settings), token=_digest(token), starting=starting)
    write_private(_note(file), belongs.model_dump_json())
    write_private(file, f"{token}\n")
    return file


def forget_token(settings: Settings) -> bool:
    """Whether there was one."""
    file = token_file(settings)
    there = file.exists()
    for one in (file, _note(file)):
        one.unlink(missing_ok=True)
    return there


def store_of_token(settings: Settings) -> str | None:
    """The address, without a password, of the store or server whose token is kept; None when that is unknown."""
    found = _noted(token_file(settings))
    return found.store if found else None


def is_for_another_store(settings: Settings) -> bool:
    """Whether the kept token is known to open another store or server than the one in use."""
    return store_of_token(settings) not in (None, _store(settings))


def refuse_to_replace(settings: Settings) -> None:
    """Before the first start of a new store, whose first token would take the place of the kept one.

    Raises DrlsError unless nothing is kept, or what an interrupted first start of this very store left.
    """
    file = token_file(settings)
    if not file.exists():
        return
    found = _noted(file)
    if found is not None and found.starting and found.store == _store(settings):
        return
    owner = found.store if found and found.store != _store(settings) else "another store"
    raise DrlsError(
        f"{file} holds the token for {owner}, and the first start of {_store(settings)} would overwrite it; "
        f"use another DRLS_HOME for the new store, or move {file} if you no longer need it"
    )


def started(settings: Settings) -> None:
    """The first start is complete: from now on nothing but `drls login` and `logout` replaces its token."""
    file = token_file(settings)
    found = _noted(file)
    if found is not None and found.starting:
        write_private(_note(file), found.model_copy(update={"starting": False}).model_dump_json())


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.store")


def _noted(file: Path) -> _Belongs | None:
    """The note on the token in `file`, unless it is on another token."""
    try:
        found = _Belongs.model_validate_json(_note(file).read_bytes())
        return found if found.token == _digest(file.read_text().strip()) else None
    except (FileNotFoundError, ValidationError):
        return None


def _store(settings: Settings) -> str:
    if settings.url is not None:
        return settings.url
    from sqlalchemy import make_url

    given = settings.lifecycle.url or f"sqlite:///{settings.home / 'lifecycle.db'}"
    return make_url(given).render_as_string(hide_password=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
