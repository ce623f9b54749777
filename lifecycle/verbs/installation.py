"""What an Admin sets for the whole installation."""

from __future__ import annotations

from typing import Annotated

from annotated_types import MaxLen

from lifecycle.domain.fence import FenceFacts
from lifecycle.errors import Conflict, NotFound
from lifecycle.usecases.set_receivers import MOST, Receiver, receivers_of, set_receivers
from lifecycle.verbs.answers import Config
from lifecycle.verbs.inputs import IfRevision
from lifecycle.verbs.verb import Call, answers

Receivers = Annotated[tuple[Receiver, ...], MaxLen(MOST)]


@answers(FenceFacts)
def fence(call: Call) -> FenceFacts:
    """What confines the code of pipelines on the machine that answers."""
    found = call.ctx.fence()
    if found is None:
        raise NotFound("this server does not run pipelines, so it has no fence")
    return found


@answers(Config)
def config(call: Call) -> Config:
    """What is set for the installation; the ETag is its revision."""
    with call.read() as (view, _):
        receivers, revision = receivers_of(view)
    return Config(receivers=receivers, revision=revision)


@answers(Config)
def set_config(call: Call, *, receivers: Receivers = (), if_revision: IfRevision = None) -> Config:
    """Replaces the settings when If-Match is their ETag."""
    if if_revision is None:
        raise Conflict("send If-Match with the ETag of the settings that you changed")
    setting = set_receivers(call.ctx, call.who, receivers, expected=if_revision)
    return Config(receivers=receivers, revision=setting.revision)
