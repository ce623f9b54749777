"""The files of seals, each list once, under the root that receipts name (L17)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, select

from lifecycle.domain.seal import SealedFiles
from lifecycle.errors import Invalid
from lifecycle.store.tables import SealRow
from lifecycle.store.tx import Tx

_KNOWN = select(SealRow.root).where(SealRow.root == bindparam("root"))
_CONTENTS = select(SealRow.root, SealRow.content).where(SealRow.root.in_(bindparam("roots", expanding=True)))
_AT_ONCE = 500


class Seals:
    """Lists of files by root."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add(self, files: SealedFiles) -> None:
        """Keeps a list; what is there stays as it is."""
        root = files.seal.root
        if not self._tx.prepared_tuples(_KNOWN, root=root):
            self._tx.insert(SealRow, root=root, content=files.encoded())

    def find(self, roots: Iterable[str]) -> dict[str, SealedFiles]:
        """What is kept of these. Raises Invalid for a list that does not belong to its root."""
        wanted = sorted(set(roots))
        found: dict[str, SealedFiles] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            for root, content in self._tx.prepared_tuples(_CONTENTS, roots=wanted[start : start + _AT_ONCE]):
                files = SealedFiles.decoded(bytes(content))
                if files.seal.root != root:
                    raise Invalid(f"the list of seal {root} was changed; restore a backup of the store")
                found[root] = files
        return found
