"""Applies the worked examples of docs/how-to/extend.md to a copy of the packages.

A block of code begins with the path that it is for. A block in Python, YAML or HTML is a whole new file. A diff has hunks,
separated by lines of `@@`; each holds lines that occur once in the file, and what becomes of them.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs/how-to/extend.md"
PACKAGES = ("lifecycle", "drls_dagster")
_BLOCK = re.compile(r"^```(python|yaml|html|diff)\n(?:# |\{# )(\S+)(?: #\})?\n(.*?)^```", re.DOTALL | re.MULTILINE)


def copy_packages(folder: Path) -> Path:
    """The packages, so that an example can change them; with what Python has compiled of them, which saves seconds."""
    for name in PACKAGES:
        shutil.copytree(CHECKOUT / name, folder / name)
    return folder


def apply_example(section: str, folder: Path) -> list[Path]:
    """Does what the section of the page says; returns the files that it added."""
    _, found, text = PAGE.read_text().partition(f"\n## {section}\n")
    assert found, f"{PAGE} has no section '{section}'"
    added: list[Path] = []
    blocks = _BLOCK.findall(re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0])
    assert blocks, f"the section '{section}' has no block of code"
    for language, path, code in blocks:
        file = folder / path
        if language == "diff":
            for hunk in code.split("@@\n"):
                _change(file, hunk)
            continue
        assert not file.exists(), f"{path} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
        added.append(file)
    return added


def _change(file: Path, hunk: str) -> None:
    before, after = (
        re.sub(rf"^[ {mark}]", "", re.sub(rf"^[{other}].*\n", "", hunk, flags=re.MULTILINE), flags=re.MULTILINE)
        for mark, other in (("-", "+"), ("+", "-"))
    )
    text = file.read_text()
    assert text.count(before) == 1, f"{file} does not have this once:\n{before}"
    file.write_text(text.replace(before, after))
