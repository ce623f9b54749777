"""The files of versions' local code, each once, under the digest of its content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import bindparam, select

from lifecycle.store.tables import CodeFileRow
from lifecycle.store.tx import Tx

_KNOWN = select(CodeFileRow.digest).where(CodeFileRow.digest.in_(bindparam("digests", expanding=True)))
_CONTENTS = select(CodeFileRow.digest, CodeFileRow.content).where(
    CodeFileRow.digest.in_(bindparam("digests", expanding=True))
)
_AT_ONCE = 500


class Code:
    """Content by digest. Who reads compares both: the database may have been changed."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add(self, contents: Mapping[str, bytes]) -> None:
        """Keeps each content under its digest; what is there stays as it is."""
        known = {row[0] for row in self._rows(_KNOWN, contents)}
        for digest, content in contents.items():
            if digest not in known:
                self._tx.insert(CodeFileRow, digest=digest, content=content)

    def contents(self, digests: Iterable[str]) -> dict[str, bytes]:
        """What is kept of these."""
        # Text is what somebody wrote into the database by hand.
        rows = self._rows(_CONTENTS, digests)
        return {row[0]: row[1].encode() if isinstance(row[1], str) else bytes(row[1]) for row in rows}

    def _rows(self, query: Any, digests: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        wanted = sorted(set(digests))
        for start in range(0, len(wanted), _AT_ONCE):
            yield from self._tx.prepared_tuples(query, digests=wanted[start : start + _AT_ONCE])
