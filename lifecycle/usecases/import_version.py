"""Import: a bundle's definition lands in development, without its approvals, with its provenance."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.bundle import read_bundle
from lifecycle.domain.people import Actor
from lifecycle.domain.version import Version
from lifecycle.errors import Invalid
from lifecycle.spec import SpecError, digest, parse_pipeline
from lifecycle.usecases.context import Context
from lifecycle.usecases.save_version import save_version


def import_version(
    ctx: Context, actor: Actor, data: bytes, *, trusted: Iterable[str] = (), key: str | None = None
) -> Version:
    """Saves the definition in a bundle that this installation or one of the `trusted` keys signed.

    The importer is a contributor like an author (L6). Raises Invalid when the bundle or its definition
    is not in order.
    """
    bundle = read_bundle(data, (ctx.store.signing_key.public, *trusted))
    try:
        spec = parse_pipeline(bundle.version.spec)
    except SpecError as error:
        raise Invalid(f"the bundle's definition is not valid: {str(error).splitlines()[0]}") from None
    if digest(spec) != bundle.version.digest:
        raise Invalid("the bundle's definition does not match its digest; export it again")
    message = f"imported from v{bundle.version.number}"
    return save_version(ctx, actor, spec, message=message, origin=bundle.provenance, code=bundle.files(), key=key)
