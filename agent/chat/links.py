"""The pages that belong to a tool call: its run, table, pipeline or request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from agent.chat.wire import Link

# By the name of a field, in the arguments or the answer: the word, and the page.
_PAGES = {
    "run_id": ("Run", "/dagster/runs/{}"),
    "request": ("Request", "/approvals/{}"),
    "request_id": ("Request", "/approvals/{}"),
    "promotion_id": ("Request", "/approvals/{}"),
    "table": ("Table", "/tables/{}"),
    "pipeline": ("Pipeline", "/pipelines/{}"),
}
_MOST = 4
_LONGEST = 300


def links_of(arguments: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[Link, ...]:
    """The pages of what the call names, and of what it made."""
    found = dict[str, Link]()
    for given in (answer, arguments):
        for field, (word, page) in _PAGES.items():
            value = given.get(field)
            if isinstance(value, str | int) and not isinstance(value, bool) and 0 < len(str(value)) <= _LONGEST:
                href = page.format(quote(str(value), safe=""))
                found.setdefault(href, Link(label=f"{word} {value}", href=href))
    return tuple(found.values())[:_MOST]
