"""What the pages load: a few files of the package, kept in memory with their compressed form."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from lifecycle.errors import NotFound

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and compressed."""

    content: bytes
    packed: bytes
    media_type: str


class Assets:
    """Every file of these folders, read once. There is no path to walk: a name is a key here or nothing."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._assets: dict[str, Asset] = {}
        for file in (file for folder in folders for file in sorted(folder.iterdir())):
            kind = _TYPES.get(file.suffix)
            if kind is None:
                continue
            if file.name in self._assets:
                raise RuntimeError(f"two sections have a static file {file.name}; rename one: {file}")
            content = file.read_bytes()
            self._assets[file.name] = Asset(content, gzip.compress(content, 9, mtime=0), kind)
        # One digest for all of them: scripts import each other by relative addresses.
        every = b"".join(self._assets[name].content for name in sorted(self._assets))
        self._digest = hashlib.sha256(every).hexdigest()[:16]

    def url(self, name: str) -> str:
        """The address of a file, another one after each change, so that it may be kept for ever."""
        if name not in self._assets:
            raise KeyError(f"there is no file {name} in static")
        return f"/static/{self._digest}/{name}"

    def answer(self, request: Request, name: str) -> Response:
        """The file, compressed for browsers that take it so. Raises NotFound."""
        asset = self._assets.get(name)
        if asset is None:
            raise NotFound("there is no such file")
        headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.media_type, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)
