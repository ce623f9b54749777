"""Markdown to HTML that can hold no script and no picture: what people write as comments, and what a model answers.

What a text may contain is what markdown-it makes of CommonMark with HTML switched off: every character is escaped
by it, and the tags are a fixed few. This is the one place where a text that somebody wrote becomes HTML. A comment
links to http, https and mailto; an answer only to pages of this site.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token
from markupsafe import Markup

from lifecycle.app.kit.unseen import spelled

MAX_NESTING = 12
_SCHEMES = {"http", "https", "mailto"}
_DEEPEST = 6
_BELOW_THE_PAGE = 3
# A list and its item are two levels at once; markdown-it itself stops above them.
_ONE_STEP = 2
# Pages that only show something: an answer's link neither leaves this site nor says anything in a query.
_OWN_PAGE = re.compile(
    r"/(?:pipelines|approvals|environments|drifts|chats|dagster/(?:runs|assets|jobs|locations))"
    r"(?:/[A-Za-z0-9_.~%@:-]+)*(?:#[A-Za-z0-9_-]*)?"
)


@lru_cache(maxsize=512)
def to_html(text: str) -> Markup:
    """`text` as HTML. Time is bounded by its length: nesting ends at MAX_NESTING, deeper parts stay text."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704 (markdown-it escapes everything; see the tests)


def answer_to_html(text: str) -> Markup:
    """What a model wrote as HTML, also with tables. Any other link and each picture stay text; nothing is invisible."""
    return Markup(_ANSWERS.render(spelled(text)))  # noqa: S704 (as above)


def is_own_page(url: str) -> bool:
    """Whether an address is a page of this site that only shows something."""
    return _OWN_PAGE.fullmatch(url) is not None and ".." not in url


def _is_allowed(url: str) -> bool:
    """Only addresses that say where they lead: no code, no data, nothing relative to the page."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme.lower() in _SCHEMES and bool(parts.netloc or parts.path)


def _open_link(tokens: list[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    if token.attrs.get("href"):
        token.attrSet("rel", "noopener nofollow")
    else:
        # markdown-it asks nobody about the address in `[x]()`, which would lead to this page.
        token.attrs.clear()
    return _render(tokens, index, options)


def _table(tokens: list[Token], index: int, options: Any, env: Any) -> str:
    """A wide table scrolls in itself."""
    return '<div class="scroll" tabindex="0" role="group" aria-label="Table">' + _render(tokens, index, options)


def _table_end(tokens: list[Token], index: int, options: Any, env: Any) -> str:
    return _render(tokens, index, options) + "</div>"


def _block(tokens: list[Token], index: int, options: Any, env: Any) -> str:
    """A block of code scrolls in itself, also by keyboard."""
    made = cast("Any", _ANSWERS.renderer)
    default = made.code_block if tokens[index].type == "code_block" else made.fence
    return cast("str", default(tokens, index, options, env)).replace("<pre>", '<pre tabindex="0">', 1)


def _cell(tokens: list[Token], index: int, options: Any, env: Any) -> str:
    """markdown-it aligns a column by a style, which the pages' policy forbids."""
    tokens[index].attrs.clear()
    return _render(tokens, index, options)


def _heading(tokens: list[Token], index: int, options: Any, env: Any) -> str:
    """A comment's headings are below those of the page."""
    token = tokens[index]
    token.tag = f"h{min(_DEEPEST, int(token.tag[1:]) + _BELOW_THE_PAGE)}"
    return _render(tokens, index, options)


def _render(tokens: list[Token], index: int, options: Any) -> str:
    return cast("Any", _MARKDOWN.renderer).renderToken(tokens, index, options, {})


def _too_deep(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """What is nested deeper is one paragraph, as it was written: markdown-it itself would leave it out, and with it
    the rest of its list."""
    if silent or state.level < MAX_NESTING:
        return False
    after = first + 1
    while after < end and (state.isEmpty(after) or state.sCount[after] >= state.blkIndent):
        after += 1
    opened = state.push("paragraph_open", "p", 1)
    inside = state.push("inline", "", 0)
    inside.content = state.getLines(first, after, state.blkIndent, False).strip()
    inside.children = []
    state.push("paragraph_close", "p", -1)
    opened.map = inside.map = [first, after]
    state.line = after
    return True


def _make(is_allowed: Callable[[str], bool]) -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING + _ONE_STEP})
    made.block.ruler.before("code", "too_deep", _too_deep)
    made.enable("strikethrough").disable(["image", "html_block", "html_inline"])
    made.validateLink = cast("Any", is_allowed)
    rules = cast("dict[str, Any]", cast("Any", made.renderer).rules)
    rules.update(link_open=_open_link, heading_open=_heading, heading_close=_heading)
    return made


def _make_for_answers() -> MarkdownIt:
    made = _make(is_own_page).enable("table")
    rules = cast("dict[str, Any]", cast("Any", made.renderer).rules)
    rules.update(fence=_block, code_block=_block)
    rules.update(table_open=_table, table_close=_table_end, th_open=_cell, td_open=_cell)
    return made


_MARKDOWN = _make(_is_allowed)
_ANSWERS = _make_for_answers()
