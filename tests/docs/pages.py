"""What pages of the documentation show."""

from __future__ import annotations

import re
from pathlib import Path

HOW_TO = Path(__file__).parents[2] / "docs/how-to"


def only_block(page: str, language: str) -> str:
    """The one block of this language in the text of a page."""
    (found,) = all_blocks(page, language)
    return found


def all_blocks(page: str, language: str) -> list[str]:
    """The blocks of this language in the text of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
