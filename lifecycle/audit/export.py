"""The log as a file: the signed head, then an entry per line; and the line that anchors a head elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from lifecycle.audit.chain import Entry, Head

KIND = "drls-audit"


def export_lines(head: Head, entries: Iterable[Entry]) -> Iterator[str]:
    """The lines, with their ends, that `drls audit verify FILE` checks without a store."""
    yield json.dumps({"kind": KIND, "head": head.model_dump(mode="json")}) + "\n"
    for entry in entries:
        yield entry.model_dump_json() + "\n"


def anchor_line(head: Head, key: str) -> str:
    """What `drls audit verify --anchor FILE` reads: the head and the public key (hexadecimal) that signs it."""
    return json.dumps({"head": head.model_dump(mode="json"), "key": key})
