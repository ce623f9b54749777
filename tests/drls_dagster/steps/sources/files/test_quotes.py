"""Quoted values that do not end are noticed wherever they are in a file, however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drls_dagster.steps.sources.files.csv_header import Dialect
from drls_dagster.steps.sources.files.quotes import broken_line, of_bytes, open_quote

MULTILINE = {"multiline": "true"}
DIALECTS = [{}, {"escape": "\\"}, {"sep": "||"}, {"comment": "#"}, {"sep": ";", "quote": "'"}, {"linesep": "\\n"}]


def cut(text: str, size: int) -> Iterator[bytes]:
    data = text.encode()
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('id,t\n1,"a\nb"\n', 2),
        ('id,t\n1,5" pipe\n2,b\n', None),
        ('id,t\n1,"a ""b"""\n', None),
        ('id,t\n1,"a""\nb"\n', 2),
        ('id,t\n1,5" "pipe"\n', None),
        ('id,t\r\n1,a\r\n2,"b\r\nc"\r\n', 3),
    ],
)
def test_a_value_over_several_lines_is_noticed(text: str, line: int | None) -> None:
    for before in (0, 50_000):  # the second is far behind what was looked at earlier
        long = "0,x\n" * before + text
        expected = None if line is None else line + before
        assert broken_line(cut(long, 7 if not before else 9_001), Dialect.of({})) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('id,t\n1,"a\nb"\n', None),
        ('id,t\n1,"a\nb\n2,c\n', 2),
        ('id,t\n1,5" pipe\n#it"s\n2,"say ""hi"""\n', None),
        ('"id","t\n', 1),
        ('id,t\r\n1,a\r\n2,"\r\n', 3),
        ('id,t\n1,"a,b"c,d\n2,"x\n', 3),
    ],
)
@pytest.mark.parametrize("comment", ["", "#"])
def test_a_quoted_value_that_never_ends_is_noticed(text: str, line: int | None, comment: str) -> None:
    """Finding 24: with `multiLine`, Spark takes the rest of the file for the value, without an error.

    Failed before behind the first 64 KB.
    """
    if "#" in text and not comment:
        return
    dialect = Dialect.of({**MULTILINE, "comment": comment})
    for before in (0, 20_000):
        long = '0,"x, ""y"""\n' * before + text
        expected = None if line is None else line + before
        assert open_quote(cut(long, 5 if not before else 8_191), dialect) == expected


def test_bytes_that_are_no_ascii_are_none_of_a_dialects_characters() -> None:
    text = "größe§t\n1§\u2019ü\u2019\n" * 100 + "1§\u2019ü\n"
    dialect = Dialect.of({**MULTILINE, "sep": "§", "quote": "\u2019"})
    assert open_quote(cut(text, 11), of_bytes(dialect, "utf-8")) == 201


@settings(max_examples=300)
@given(data=st.data())
def test_the_quote_that_stays_open_is_the_one_that_a_reader_of_characters_finds(data: st.DataObject) -> None:
    """The quick ways, by counting and by patterns, against reading character by character."""
    dialect = Dialect.of({**MULTILINE, **data.draw(st.sampled_from(DIALECTS))})
    parts = st.sampled_from(["a", " ", dialect.quote, dialect.quote, dialect.sep, "\n", "\r\n", "\\", "#"])
    text = "".join(data.draw(st.lists(parts, max_size=30)))
    opened = _slowly(text, dialect)
    expected = None if opened is None else text.count("\n", 0, opened) + 1
    assert open_quote(cut(text, data.draw(st.integers(1, 31))), dialect) == expected


def _slowly(text: str, dialect: Dialect) -> int | None:
    def ends(at: int) -> int | None:
        if text.startswith(dialect.sep, at):
            return at + len(dialect.sep)
        found = dialect.line.match(text, at)
        return found.end() if found else None

    at, line_begins = 0, True
    while at < len(text):
        if dialect.comment and line_begins and text.startswith(dialect.comment, at):
            found = dialect.line.search(text, at)
            at = found.end() if found else len(text)
            continue
        start = at
        while text[at : at + 1] == " ":
            at += 1
        if text[at : at + 1] == dialect.quote:
            opened, closed = at, False
            at += 1
            while at < len(text) and not closed:
                if text[at] == dialect.escape and text[at + 1 : at + 2] == dialect.quote:
                    at += 2
                else:
                    closed = text[at] == dialect.quote
                    at += 1
            if not closed:
                return opened
            after = at
            while text[after : after + 1] == " ":
                after += 1
            at = after if after == len(text) or ends(after) is not None else at
        else:
            at = start
        while at < len(text) and ends(at) is None:
            at += 1
        line_begins = not text.startswith(dialect.sep, at)
        at = ends(at) or len(text)
    return None
