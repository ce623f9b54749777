"""Seals: which files a publish made visible, and what is in them (L17).

A seal is the root of a Merkle tree over the files of a publish, as in RFC 6962, section 2.1: leaves and nodes are
hashed with different first bytes, so that no node passes for a file. The receipt carries the root, and the list is kept
in the store.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.errors import Invalid

_FORMAT = 1
_LEAF, _NODE = b"\x00", b"\x01"


class FileKind(StrEnum):
    """What a table's snapshot is made of."""

    DATA = "data"
    DELETES = "deletes"
    MANIFEST = "manifest"
    LIST = "list"


class Identity(NamedTuple):
    """What a local file system says of a file. `changed_ns` (ctime) cannot be set by any user."""

    modified_ns: int
    inode: int
    changed_ns: int


class SealedFile(NamedTuple):
    """One file: what is in it (`digest`, SHA-256), or which of its contents an object store has (`tag`).

    `snapshot`, of a manifest list: the snapshot that it lists.
    """

    kind: FileKind
    path: str
    size: int
    digest: str = ""
    tag: str = ""
    identity: Identity | None = None
    snapshot: int | None = None

    @property
    def name(self) -> str:
        """The path below its table, for people: where the table lies is nobody's business."""
        for part in ("/data/", "/metadata/"):
            if part in self.path:
                return part.strip("/") + "/" + self.path.rpartition(part)[2]
        return self.path.rpartition("/")[2]

    @property
    def leaf(self) -> bytes:
        """What the root is computed from. Where the file lies on a disk, and since when, is no part of it."""
        said = [self.kind.value, self.path, self.size, self.digest, self.tag, str(self.snapshot or "")]
        return hashlib.sha256(_LEAF + json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()).digest()


class Seal(Frozen):
    """What a receipt says of the files that it published."""

    root: str
    files: int
    bytes: int


@dataclass(frozen=True)
class SealedFiles:
    """Every file that a publish made visible, by path."""

    files: tuple[SealedFile, ...]

    @classmethod
    def of(cls, files: Iterable[SealedFile]) -> SealedFiles:
        return cls(tuple(sorted(files, key=lambda one: (one.path, one.kind.value))))

    @cached_property
    def seal(self) -> Seal:
        root = merkle_root([one.leaf for one in self.files])
        return Seal(root=root, files=len(self.files), bytes=sum(one.size for one in self.files))

    def encoded(self) -> bytes:
        """About a hundred bytes a file."""
        rows = [
            [one.kind.value, one.path, one.size, one.digest, one.tag, list(one.identity or ()), one.snapshot]
            for one in self.files
        ]
        return zlib.compress(json.dumps([_FORMAT, rows], separators=(",", ":"), ensure_ascii=False).encode(), 6)

    @classmethod
    def decoded(cls, content: bytes) -> SealedFiles:
        """What `encoded` wrote. Raises Invalid for anything else."""
        try:
            version, rows = json.loads(zlib.decompress(content))
            if version != _FORMAT:
                raise ValueError
            return cls(tuple(_file(row) for row in rows))
        except (ValueError, TypeError, zlib.error):
            raise Invalid("the list of a seal's files cannot be read; restore a backup of the store") from None


def _file(row: Sequence[Any]) -> SealedFile:
    kind, path, size, digest, tag, identity, snapshot = row
    found = Identity(*identity) if identity else None
    return SealedFile(FileKind(kind), path, size, digest, tag, found, snapshot)


def merkle_root(leaves: Sequence[bytes]) -> str:
    """The tree hash of RFC 6962, section 2.1, over hashed leaves, as `sha256:<hex>`."""
    return f"sha256:{_root(leaves).hex()}"


def _root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    # The left side is the largest full tree that is smaller than the whole.
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(_NODE + _root(leaves[:middle]) + _root(leaves[middle:])).digest()


def combined(roots: Sequence[str]) -> str | None:
    """One root for several publishes; of a single one, its own; None for none."""
    if len(roots) < 2:
        return roots[0] if roots else None
    return merkle_root([bytes.fromhex(root.removeprefix("sha256:")) for root in roots])


class Why(StrEnum):
    """How a file is not as it was sealed."""

    GONE = "gone"
    SIZE = "size"
    CONTENT = "content"
    UNREAD = "unread"
    LISTED = "listed"


class Altered(Frozen):
    """A file that is not as it was published."""

    table: str
    name: str
    path: str
    why: Why
    detail: str = ""
    snapshot: SnapshotId | None = None

    @property
    def told(self) -> str:
        """One line: which file of which table, and what is wrong with it."""
        return f"{self.table}: {self.what}"

    @property
    def what(self) -> str:
        """Which file, and what is wrong with it."""
        match self.why:
            case Why.GONE:
                what = "is gone"
            case Why.SIZE:
                what = f"has another size than when it was published ({self.detail})"
            case Why.CONTENT:
                what = "has other content than when it was published"
            case Why.LISTED:
                what = "consists of other files than when it was published"
            case Why.UNREAD:
                what = f"cannot be read ({self.detail})"
        return f"{self.name} {what}"


class Digests(StrEnum):
    """Which files are read: those that look changed; some more, by chance; or all."""

    CHANGED = "changed"
    SAMPLE = "sample"
    ALL = "all"
