"""Code in colours: lines of escaped text in spans with a class of the style sheet."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup
from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType  # pyright: ignore[reportPrivateUsage]

from lifecycle.app.kit.unseen import reveal

MAX_CHARACTERS = 200_000
_LANGUAGES = {"sql", "python", "yaml"}
_CLASSES = (
    (Comment, "tok-c"),
    (String, "tok-s"),
    (Number, "tok-n"),
    (Keyword, "tok-k"),
    (Name.Tag, "tok-k"),
    (Name.Builtin, "tok-f"),
    (Name.Function, "tok-f"),
)


@lru_cache(maxsize=512)
def highlight(text: str, language: str) -> tuple[Markup, ...]:
    """The lines of `text`, whatever ends them; plain in an unknown language or above MAX_CHARACTERS."""
    text = plain_lines(text)
    if language not in _LANGUAGES or len(text) > MAX_CHARACTERS:
        return tuple(reveal(line) for line in text.split("\n"))
    lines: list[list[Markup]] = [[]]
    # The lexer must not drop or add lines: they are compared with others by number.
    for token, value in get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(text):
        css = _class_of(token)
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append([])
            if part:
                lines[-1].append(
                    Markup('<span class="{}">{}</span>').format(css, reveal(part)) if css else reveal(part)
                )
    return tuple(Markup("").join(line) for line in lines)


def plain_lines(text: str) -> str:
    """The text with each line ended alike, and no end after the last."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def _class_of(token: _TokenType) -> str:
    return next((css for kind, css in _CLASSES if token in kind), "")
