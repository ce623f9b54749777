"""What a model says, on its way to a person: without secrets, pictures and links to other sites.

A picture or link is a way out of the house: loading it sends what its address holds. The page's own renderer refuses
them too; here they leave the transcript and the terminal.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from drls_dagster.redact import redact_text

_FENCE = re.compile(r"\s{0,3}(?:```|~~~)")
_CODE = re.compile(r"(`+[^`]*`+)")
_TARGET = re.compile(r"\]\(\s*<?(?P<to>[^)\s>]*)>?[^)]*\)?")
_DEFINITION = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?(?P<to>[^\s>]*).*")
_BARE = re.compile(
    r"(?:https?|ftp)://[^\s<>()\[\]\"'`]+|\b(?:mailto|javascript|data|file):[^\s<>()\[\]\"'`]+", re.IGNORECASE
)
_KEY_BEGINS, _KEY_ENDS = "-----BEGIN", "-----END"
REMOVED = "(link removed)"


class Outgoing:
    """One answer of a model, word by word. `own` is the address of this site, `known` are secrets to remove.

    A line that may hold a link, or a key, is held back until it is whole.
    """

    def __init__(self, own: str, known: tuple[str, ...] = ()) -> None:
        self._own, self._known = own, known
        self._line, self._shown = "", ""
        self._lines: list[str] = []
        self._in_code = False

    def more(self, words: str) -> str:
        """What may be shown now."""
        self._line += words
        out = ""
        while (end := self._line_end()) > 0:
            line, self._line = self._line[:end], self._line[end:]
            out += self._finish(line)
        return out + self._show(self._safe())

    def end(self) -> str:
        """The rest of it."""
        line, self._line = self._line, ""
        return self._finish(line)

    @property
    def text(self) -> str:
        """All that may be shown so far."""
        return "".join(self._lines) + self._shown

    def _line_end(self) -> int:
        """Where the first line ends, 0 when it has not; a key is one line with all before and behind it."""
        end = self._line.find("\n") + 1
        if _KEY_BEGINS not in self._line[:end]:
            return end
        key_ends = self._line.find(_KEY_ENDS)
        return self._line.find("\n", key_ends) + 1 if key_ends >= 0 else 0

    def _safe(self) -> str:
        """The part of an unfinished line that nothing after it changes."""
        if any(one in self._line for one in ("[", "<", "`", "~", ":", _KEY_BEGINS)):
            return ""
        return self._line[: self._line.rfind(" ") + 1]

    def _show(self, part: str) -> str:
        clean = self._clean(part)
        if not clean.startswith(self._shown):
            return ""
        new, self._shown = clean[len(self._shown) :], clean
        return new

    def _finish(self, line: str) -> str:
        clean = self._clean(line)
        new = clean.removeprefix(self._shown)
        self._lines.append(clean)
        self._shown = ""
        return new

    def _clean(self, line: str) -> str:
        if _FENCE.match(line) and line.endswith("\n"):
            self._in_code = not self._in_code
            return redact_text(line, self._known)
        line = redact_text(line, self._known)
        return line if self._in_code else without_links(line, self._own)


def without_links(text: str, own: str) -> str:
    """Markdown without pictures, and without links that lead elsewhere than to `own`."""
    return "\n".join(_line(one, own) for one in text.split("\n"))


def _line(line: str, own: str) -> str:
    definition = _DEFINITION.match(line)
    if definition and not _leads_home(definition["to"], own):
        return REMOVED
    parts = _CODE.split(line)
    return "".join(one if number % 2 else _prose(one, own) for number, one in enumerate(parts))


def _prose(text: str, own: str) -> str:
    text = text.replace("![", "[picture: ")
    text = _TARGET.sub(lambda found: found[0] if _leads_home(found["to"], own) else f"] {REMOVED}", text)
    return _BARE.sub(lambda found: found[0] if _leads_home(found[0], own) else _host(found[0]), text)


def _host(url: str) -> str:
    """Whose address it was; what it said stays away."""
    host = urlsplit(url).hostname if "://" in url else None
    return f"{host} {REMOVED}" if host and len(host) < 60 else REMOVED


def _leads_home(to: str, own: str) -> bool:
    path = to.removeprefix(own.rstrip("/")) if own else to
    return path.startswith("/") and not path.startswith(("//", "/\\"))
