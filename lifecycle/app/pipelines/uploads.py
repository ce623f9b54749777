"""A file that somebody chose or dropped: a definition, or a signed bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import File, UploadFile

from lifecycle.domain.people import Actor
from lifecycle.domain.version import Version
from lifecycle.errors import Conflict, Invalid
from lifecycle.spec import SpecError, parse_pipeline
from lifecycle.spec.errors import shorten
from lifecycle.spec.reading import MAX_BYTES
from lifecycle.usecases.context import Context
from lifecycle.usecases.import_version import import_version
from lifecycle.usecases.save_version import save_version

# A form without a chosen file sends an empty text in its place.
Upload = Annotated[UploadFile | str | None, File()]
_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Sent:
    """What came. The name is for messages only: it opens nothing."""

    name: str
    data: bytes

    @property
    def is_bundle(self) -> bool:
        """Whether it is a signed envelope; its payload is base64, so it cannot hold a definition's own words."""
        return (
            self.data.lstrip().startswith(b"{")
            and b'"payloadType"' in self.data
            and b'"format_version"' not in self.data
        )


def sent(upload: UploadFile | str | None) -> Sent:
    """Reads an upload. Raises Invalid when nothing was chosen."""
    if upload is None or isinstance(upload, str):
        raise Invalid("choose a file first: a YAML or JSON definition, or an exported bundle")
    return Sent(shorten(upload.filename or "the file"), upload.file.read())


def save_sent(
    ctx: Context,
    actor: Actor,
    file: Sent,
    *,
    message: str,
    key: str,
    name: str | None = None,
    on: int | None = None,
    newest: str | None = None,
) -> Version:
    """Saves a definition, as a version of `name` on version `on` when they are given.

    Raises Invalid naming the file when it is no definition, and Conflict when `newest`, a digest, is not the newest
    version's.
    """
    try:
        if len(file.data) > MAX_BYTES:
            raise Invalid("the file is larger than 5 MB; move data out of the pipeline file")
        spec = parse_pipeline(file.data)
    except SpecError as error:
        lines = [f"{file.name}: {problem}" for problem in error.problems]
        more = [f"{file.name}: and {len(lines) - _PROBLEMS} more problems"] if len(lines) > _PROBLEMS else []
        raise Invalid("\n".join([*lines[:_PROBLEMS], *more])) from None
    except Invalid as error:
        raise Invalid(f"{file.name}: {error}") from None
    if name is not None and spec.name != name:
        raise Conflict(f"{file.name} defines the pipeline {spec.name}, not {name}; import it on the Pipelines page")
    return save_version(ctx, actor, spec, message=message, on=on, if_newest=newest, key=key)


def import_sent(ctx: Context, actor: Actor, file: Sent, *, trust: str, key: str) -> Version:
    """Imports a bundle that this installation, or the key `trust` (hexadecimal), signed. Raises Invalid."""
    trusted = (trust,) if trust else ()
    try:
        return import_version(ctx, actor, file.data, trusted=trusted, key=key)
    except Invalid as error:
        raise Invalid(f"{file.name}: {error}") from None
