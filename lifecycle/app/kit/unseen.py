"""Characters that nobody sees, shown by their numbers: where people decide about a text, it must read as it will run.

Marks that turn the direction of writing make code read as something else (CVE-2021-42574, "Trojan Source"); with one of
no width two values look the same.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_MARKS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_NO_WIDTH = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f"
# A joiner belongs to emoji and to several scripts; behind a letter of ASCII it joins nothing.
_HIDDEN = re.compile(f"[{_MARKS}{_NO_WIDTH}{_CONTROLS}]|(?<![^\x00-\x7f])[\u200c\u200d]")


def reveal(text: str) -> Markup:
    """`text` as HTML, in which invisible characters are shown as U+202E."""
    shown = escape(text)
    return Markup(_HIDDEN.sub(_number, shown)) if _HIDDEN.search(shown) else shown  # noqa: S704 (escaped before)


def spelled(text: str) -> str:
    """`text` with invisible characters spelled out as ⟨U+202E⟩, for what becomes HTML elsewhere."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def _number(found: re.Match[str]) -> str:
    return f'<span class="tok-hidden" title="an invisible character">U+{ord(found[0]):04X}</span>'
