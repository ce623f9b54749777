"""The token of a notebook: it reads development tables as its person, while that notebook runs (ADR 28 is its model).

Signed by the installation, bound to the person and to this one process of theirs, good for some minutes and renewed
while the notebook runs. It opens nothing but the questions of `asked`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lifecycle.domain.model import Frozen
from lifecycle.errors import Unauthorized
from lifecycle.usecases.parts.signed_tokens import seal, unseal

if TYPE_CHECKING:
    from lifecycle.usecases.context import Context

AUDIENCE = "drls-notebook"
LIFE = timedelta(minutes=15)


class Bound(Frozen):
    """Whose notebook, and which one."""

    person: int
    notebook: str


def issue(ctx: Context, bound: Bound) -> str:
    return seal(ctx, AUDIENCE, {"bound": bound.model_dump_json()}, LIFE)


def read_token(ctx: Context, text: str) -> Bound:
    """Raises Unauthorized for a forged or expired one."""
    try:
        return Bound.model_validate_json(unseal(ctx, AUDIENCE, text)["bound"])
    except (KeyError, ValidationError, Unauthorized):
        raise Unauthorized("this notebook's token is not valid; restart the notebook") from None
