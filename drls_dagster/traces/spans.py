"""Making spans: `with span(settings, "admit run", …)`. Where traces are off, this costs nothing and sends nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from drls_dagster.settings import Settings
from drls_dagster.traces.place import HERE, Place, new_trace
from drls_dagster.traces.sending import Span, Value, sender_of


@contextmanager
def span(
    settings: Settings,
    name: str,
    about: Mapping[str, Value] | None = None,
    *,
    above: Place | None = None,
    is_server: bool = False,
) -> Iterator[Span]:
    """A span of this process around a block; `about` says what it concerns, and the block may add more.

    Its parent is `above`, else the span that this process is in; without one, it begins a trace. What the block raises
    is noted by its kind: a message may quote data. `place` is None where traces are off.
    """
    made = Span(name, is_server=is_server, attributes={f"drls.{key}": value for key, value in (about or {}).items()})
    sender = sender_of(settings)
    if sender is None:
        yield made
        return
    made.above = above or HERE.get()
    made.place = new_trace() if made.above is None else made.above.below()
    made.began = time.time_ns()
    token = HERE.set(made.place)
    try:
        yield made
    except BaseException as error:
        made.failed = made.failed or type(error).__name__
        raise
    finally:
        HERE.reset(token)
        made.ended = time.time_ns()
        sender.send(made)
