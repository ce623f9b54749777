"""docs/adr/README.md, from the titles of the pages."""

from __future__ import annotations

from pathlib import Path

from words import MADE

FOLDER = Path(__file__).parents[2] / "docs" / "adr"
INTRODUCTION = """\
[design.md](../design.md) and [rules.md](../rules.md) hold the decisions that everything rests on. If you change one,
add a page here, `NNNN-what-was-decided.md`, with the situation, the decision, its consequences and the alternatives.
A page's decision is never rewritten; a later page that replaces it says so in both.
"""


def decisions() -> str:
    lines = []
    for page in sorted(FOLDER.glob("0*.md")):
        number, _, title = page.read_text().splitlines()[0].removeprefix("# ").partition(". ")
        lines.append(f"- {number}: [{title}]({page.name})")
    return "\n".join(["# Decisions", MADE, INTRODUCTION, *lines])
