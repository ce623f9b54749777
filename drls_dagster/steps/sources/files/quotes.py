"""Quoted values of a CSV file that do not end: looked for in all of it, piece by piece.

With `multiLine`, Spark takes the rest of the file for the value, without an error; without it, the rest of the line.
Pieces are bytes, in which quotes and delimiters are single characters of a dialect that `of_bytes` has made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from drls_dagster.steps.sources.files.csv_header import Dialect

_SPACES = re.compile(r" *+")
_MARGIN = 256  # what may have to be seen after a quote


def of_bytes(dialect: Dialect, encoding: str) -> Dialect:
    """The dialect of bytes that are read as if each were a character."""
    names = ("sep", "quote", "escape", "comment")
    return replace(
        dialect, **{name: getattr(dialect, name).encode(encoding, "replace").decode("latin-1") for name in names}
    )


class _Patterns:
    """How a dialect's fields look. All are possessive: what was read once is not tried again."""

    def __init__(self, dialect: Dialect) -> None:
        quote, sep, line = re.escape(dialect.quote), re.escape(dialect.sep), dialect.line.pattern
        self.escape = "" if dialect.escape == dialect.quote else dialect.escape
        pairs = [re.escape(self.escape) + quote, re.escape(self.escape)] if self.escape else [quote + quote]
        inner = "(?:" + "|".join([f"[^{quote}{re.escape(self.escape)}]++", *pairs]) + ")*+"
        plain = rf"(?! *+{quote})(?:[^{re.escape(dialect.sep[0])}{_firsts(line)}]++|(?!{sep}|{line}).)*+"
        comment = rf"(?<=[\r\n]){re.escape(dialect.comment)}[^\r\n]*+[\r\n]|" if dialect.comment else ""
        self.fields = re.compile(rf"(?:{comment}(?: *+{quote}{inner}{quote} *+|{plain})(?:{sep}|{line}))*+", re.S)
        self.inner = re.compile(inner, re.S)
        self.opens = re.compile(rf" *+{quote}")
        self.closes = re.compile(rf"{quote} *+(?:(?P<next>{sep}|{line})|\Z)", re.S)
        self.ends = re.compile(f"{sep}|{line}")
        self.comment = dialect.comment
        # Where each quote is next to a delimiter or to another quote, it is enough to count them.
        simple = not self.escape and not dialect.comment and len(dialect.sep) == 1 and line == "\r\n|\n|\r"
        self.countable = (ord(dialect.quote), ord(dialect.sep)) if simple and len(dialect.quote) == 1 else None


def _firsts(line: str) -> str:
    """The characters that an end of line begins with, for a class of characters."""
    return r"\r\n" if line == "\r\n|\n|\r" else line[:2] if line.startswith("\\") else line[:1]


class LineEnds:
    """Passes pieces of a file on, and knows then whether all its lines end with a carriage return and a line feed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._feeds = self._pairs = 0

    def __iter__(self) -> Iterator[bytes]:
        last = b""
        for piece in self._pieces:
            self._feeds += piece.count(b"\n")
            self._pairs += piece.count(b"\r\n") + (last == b"\r" and piece.startswith(b"\n"))
            last = piece[-1:]
            yield piece

    @property
    def are_all_crlf(self) -> bool:
        return 0 < self._feeds == self._pairs


def open_quote(pieces: Iterator[bytes], dialect: Dialect) -> int | None:
    """The line of the quote that begins a value which does not end; None without one."""
    if not dialect.quote:
        return None
    scan = _Scan(_Patterns(dialect), dialect.quote)
    for piece in pieces:
        scan.feed(piece.decode("latin-1"), final=False)
    scan.feed("", final=True)
    return scan.line if scan.inside else None


class _Scan:
    """Where a reader of the file is: at the beginning of a field, in quotes, or in a plain value."""

    def __init__(self, patterns: _Patterns, quote: str) -> None:
        self._patterns, self._quote = patterns, quote
        self._text, self._at = "\n", 1  # with the character before, for comments
        self._plain = self._has_skipped = False
        self._ends = [0, 0]  # line feeds and carriage returns before `_text`; one is made up above
        self._opened: int | None = None  # in `_text`
        self.inside = False
        self.line = 0  # of the quote that was opened last

    def feed(self, piece: str, *, final: bool) -> None:
        self._text += piece
        self._has_skipped = False
        while not self._step(final):
            pass
        if self._opened is not None:
            feeds, returns = self._ends_before(self._opened)
            self.line, self._opened = feeds if feeds > 1 or not returns else returns + 1, None
        cut = max(self._at - 1, 0)
        self._ends = self._ends_before(cut)
        self._text, self._at = self._text[cut:], self._at - cut

    def _ends_before(self, at: int) -> list[int]:
        return [known + self._text.count(end, 0, at) for known, end in zip(self._ends, "\n\r", strict=True)]

    def _step(self, final: bool) -> bool:
        """Whether more text is needed, as for the steps below."""
        if not self._plain and not self._has_skipped:
            self._has_skipped = True  # once a piece: where it does not go far, it would not the next time
            self._skip()
        if self.inside:
            return self._in_quotes(final)
        return self._in_plain(final) if self._plain else self._field(final)

    def _skip(self) -> None:
        """Goes as far as counting is enough, which is quick."""
        end = self._text.rfind("\n") + 1
        if self._patterns.countable is None or end <= self._at:
            return
        part = self._text[self._at : end]
        if self._quote not in part:
            self._at = end
            return
        import numpy as np

        quote, sep = self._patterns.countable
        data = np.frombuffer(part.encode("latin-1"), dtype=np.uint8)
        quotes = np.flatnonzero(data == quote)
        first = int(self.inside)  # the number of the first, where those that open have even ones
        opening, closing = quotes[first::2], quotes[1 - first :: 2]
        if not (_beside(data, opening, -1, quote, sep) and _beside(data, closing, 1, quote, sep)):
            return
        inside = (len(quotes) + first) % 2 == 1
        if inside and len(opening):
            fresh = opening[(opening == 0) | (data[opening - 1] != quote)]
            if len(fresh):
                self._opened = self._at + int(fresh[-1])
        self.inside, self._at = inside, end

    def _field(self, final: bool) -> bool:
        text, known = self._text, self._patterns
        self._at = _end(known.fields.match(text, self._at), self._at)
        if self._at == len(text):
            return True
        if known.comment and text[self._at - 1] in "\r\n" and text.startswith(known.comment, self._at):
            self._at = len(text) if final else self._at
            return True
        opens = known.opens.match(text, self._at)
        if opens is not None:
            self.inside, self._opened, self._at = True, opens.end() - 1, opens.end()
        elif not final and _end(_SPACES.match(text, self._at), self._at) == len(text):
            return True
        else:
            self._plain = True
        return False

    def _in_quotes(self, final: bool) -> bool:
        text, known = self._text, self._patterns
        self._at = _end(known.inner.match(text, self._at), self._at)
        if self._at == len(text):
            self._at -= bool(known.escape) and not final and text.endswith(known.escape)
            return True
        if not final and len(text) - self._at < _MARGIN:
            return True
        closes = known.closes.match(text, self._at)
        if closes is None:  # an unescaped quote: Spark reads on to the end of the field
            self.inside, self._plain, self._at = False, True, self._at + 1
        elif closes["next"] is not None or final:
            self.inside, self._at = False, closes.end()
        else:
            return True
        return False

    def _in_plain(self, final: bool) -> bool:
        ends = self._patterns.ends.search(self._text, self._at)
        if ends is None:
            self._at = max(self._at, len(self._text) - (0 if final else _MARGIN))
            return True
        self._plain, self._at = False, ends.end()
        return False


def _beside(data: Any, places: Any, step: int, quote: int, sep: int) -> bool:
    """Whether the bytes next to these places are delimiters or quotes; beyond both ends is the end of a line."""
    beside = places + step
    values = data[beside[(beside >= 0) & (beside < len(data))]]
    return bool(((values == quote) | (values == sep) | (values == 10) | (values == 13)).all())


def _end(found: re.Match[str] | None, at: int) -> int:
    return found.end() if found is not None else at


def broken_line(pieces: Iterator[bytes], dialect: Dialect) -> int | None:
    """The first line in which a quoted value begins that does not end there; None without one.

    A last line without an end may be cut off, and a file may end within a quoted value: that is Spark's to refuse.
    """
    if not dialect.quote:
        return None
    patterns, quote = _Patterns(dialect), dialect.quote.encode("latin-1")
    done, rest = 0, b""
    for piece in pieces:
        data = rest + piece
        cut = _last_end(data, dialect)
        data, rest = data[:cut], data[cut:]
        if quote in data and (line := _broken_among(data.decode("latin-1"), dialect, patterns)) is not None:
            return done + line
        done += data.count(b"\n") or data.count(b"\r")
    text = rest.decode("latin-1")
    if dialect.line.search(text) is not None and (line := _broken_among(text, dialect, patterns)) is not None:
        return done + line
    return None


def _last_end(data: bytes, dialect: Dialect) -> int:
    """Behind the last line that ends for sure in `data`."""
    if dialect.line.pattern == "\r\n|\n|\r":
        return max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1
    return max((found.end() for found in dialect.line.finditer(data.decode("latin-1"))), default=0)


def _broken_among(text: str, dialect: Dialect, patterns: _Patterns) -> int | None:
    if patterns.countable is not None and _is_plainly_whole(text.encode("latin-1"), *patterns.countable):
        return None
    for number, line in enumerate(dialect.line.split(text)[:-1], start=1):
        if dialect.quote not in line or (dialect.comment and line.startswith(dialect.comment)):
            continue
        if patterns.fields.fullmatch(f"{line}\n") is None and _is_open(line, dialect, patterns):
            return number
    return None


def _is_open(line: str, dialect: Dialect, patterns: _Patterns) -> bool:
    scan = _Scan(patterns, dialect.quote)
    scan.feed(line, final=True)
    return scan.inside


def _is_plainly_whole(text: bytes, quote: int, sep: int) -> bool:
    """Whether each quote is next to a delimiter or to another quote, and no line ends between two: counted."""
    import numpy as np

    data = np.frombuffer(text, dtype=np.uint8)
    quotes = np.flatnonzero(data == quote)
    ends = np.flatnonzero((data == 10) | (data == 13))
    if (np.searchsorted(quotes, ends) % 2).any():
        return False
    return _beside(data, quotes[::2], -1, quote, sep) and _beside(data, quotes[1::2], 1, quote, sep)
