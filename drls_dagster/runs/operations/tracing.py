"""Spans of a run: its process may have no network and knows no collector, so the platform sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from annotated_types import MaxLen

from drls_dagster.runs.operation import operation
from drls_dagster.runs.step_spans import StepSpan
from drls_dagster.traces.place import Place
from drls_dagster.traces.sending import Span, sender_of

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation(early=True, late=True)
def trace(run: Run) -> str:
    """Where the run belongs in a trace; empty where nobody takes traces, or for a run of none."""
    own = run.trace_at()
    return "" if own is None or sender_of(run.settings) is None else own.text


@operation(early=True, late=True)
def tell_spans(run: Run, spans: Annotated[list[StepSpan], MaxLen(200)]) -> None:
    """Sends spans of the run. Whose run it is and in which trace says the token, whatever they say."""
    own, sender = run.trace_at(), sender_of(run.settings)
    if own is None or sender is None:
        return
    for one in spans:
        sender.send(
            Span(
                f"{one.kind.value} {one.node}".strip(),
                place=Place(own.trace, one.span),
                above=Place(own.trace, one.above),
                attributes={f"drls.{name}": value for name, value in {**run.traced, **one.told}.items()},
                began=one.began,
                ended=max(one.began, one.ended),
                failed=one.failed,
            )
        )
