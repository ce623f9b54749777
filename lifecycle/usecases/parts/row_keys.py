"""Which columns tell the rows of a table apart: what its version promises of them, by its sink or by a check."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.domain.data_diff import RowKey
from lifecycle.spec import PipelineSpec, Unique
from lifecycle.spec.sinks import SinkNode


def row_keys(spec: PipelineSpec, table: str) -> tuple[RowKey, ...]:
    """The keys of the sink that writes `table`, best first.

    What a merge goes by comes before what `unique` checks on this very sink say; of these, a blocking one comes
    before one that warns, and few columns before many.
    """
    sink = next((sink for sink in spec.sinks if sink.table == table), None)
    if sink is None:
        return ()
    keys = [RowKey(columns=sink.keys, because="the sink merges rows by this key")] if sink.keys else []
    keys += [key for _, key in sorted(_checked(spec, sink), key=lambda one: one[0])]
    best: dict[frozenset[str], RowKey] = {}
    for key in keys:
        best.setdefault(frozenset(column.lower() for column in key.columns), key)
    return tuple(best.values())


def _checked(spec: PipelineSpec, sink: SinkNode) -> Iterator[tuple[tuple[bool, int, tuple[str, ...], str], RowKey]]:
    for monitor in spec.monitors_of(sink.id):
        for check in monitor.checks:
            if not isinstance(check, Unique):
                continue
            columns = tuple(dict.fromkeys(check.columns))
            said = "it is unique" if len(columns) == 1 else "they are unique"
            window = _window_column(spec, sink)
            if window is not None and window.lower() not in map(str.lower, columns):
                # Such a check sees one window at a time: what is unique in each may be twice in the table.
                said = (
                    f"{', '.join(columns)} {'is' if len(columns) == 1 else 'are'} unique in each partition by {window}"
                )
                columns = (window, *columns)
            name = f"{monitor.id}.{check.name}"
            key = RowKey(columns=columns, because=f"the check {name} says {said}")
            yield (check.severity != "blocking", len(columns), columns, name), key


def _window_column(spec: PipelineSpec, sink: SinkNode) -> str | None:
    if spec.partitions is None or sink.mode != "overwrite_partitions":
        return None
    return spec.partitions.column
