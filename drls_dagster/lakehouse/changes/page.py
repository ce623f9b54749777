"""Some rows of a change feed as JSON has them, and where to continue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.changes.feed import SNAPSHOT, change_feed
from drls_dagster.lakehouse.reader.values import Shown, json_rows, type_words

if TYPE_CHECKING:
    from pyiceberg.table import Table

_TYPE = 300
_BATCH_BYTES = 4_000_000


def changes_page(
    table: Table,
    since: int | None,
    until: int | None,
    *,
    keys: Sequence[str],
    columns: Sequence[str],
    skip: int,
    rows: int,
    most_bytes: int,
    text: int,
    memory: str,
) -> dict[str, Any]:
    """At most `rows` changes and `most_bytes` of JSON, behind the first `skip`.

    `next` says where more begin: behind a snapshot, and so many changes further. Raises what `change_feed` raises.
    """
    feed = change_feed(table, since, until, keys=keys, columns=columns or None, batch_bytes=_BATCH_BYTES, memory=memory)
    shown = Shown(text)
    place = feed.schema.get_field_index(SNAPSHOT)
    found: list[list[Any]] = []
    base, at, within, passed, size, cut = since, None, 0, 0, 0, ""
    for row, width in _rows(feed.batches(), shown):
        if at is not None and row[place] != at:
            base, within = int(at), 0
        at = row[place]
        if passed < skip:
            passed, within = passed + 1, within + 1
            continue
        if len(found) >= rows or (found and size + width > most_bytes):
            cut = f"the first {len(found):,} changes; there are more"
            break
        size += width
        within += 1
        found.append(row)
    return {
        "columns": [{"name": one.name, "type": type_words(one.type)[:_TYPE]} for one in feed.schema],
        "rows": found,
        "cut": cut,
        "values_cut": shown.cut,
        "next": {"since": base, "skip": within} if cut else None,
    }


def _rows(batches: Iterator[Any], shown: Shown) -> Iterator[tuple[list[Any], int]]:
    for batch in batches:
        yield from json_rows(batch, shown)
