"""Names for nodes, made of names that somebody has."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^a-z0-9]+")


def slug(text: str) -> str:
    """A text as the id of a node; empty where nothing is left of it."""
    word = _WORD.sub("_", text.lower()).strip("_")
    return (word if word[:1].isalpha() or not word else f"t_{word}")[:60]


def free_name(name: str, taken: set[str]) -> str:
    """A name for a node that nothing has, and that is no word of SQL."""
    from lifecycle.spec.rules.graph import RESERVED_WORDS

    wanted = f"{name}_data" if name in RESERVED_WORDS else name
    number = 2
    free = wanted
    while free in taken:
        free = f"{wanted}_{number}"
        number += 1
    return free
