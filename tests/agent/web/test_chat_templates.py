"""The section's templates and scripts keep what the pages' policy asks of all templates and scripts."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.lifecycle.app.test_templates import FORBIDDEN

WEB = Path(str(files("agent.web")))
TEMPLATES = sorted(WEB.glob("templates/*.html"))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_a_template_has_nothing_that_the_policy_forbids(file: Path) -> None:
    text = file.read_text()
    for pattern, what in FORBIDDEN.items():
        assert not re.search(pattern, text), f"{file.name} has {what}"
    for form in re.findall(r"<form\b.*?</form>", text, re.DOTALL):
        assert 'method="post"' not in form or 'name="csrf"' in form, file.name


def test_the_script_neither_evaluates_nor_writes_html_itself() -> None:
    text = (WEB / "static" / "chats.js").read_text()
    for word in ("eval(", "new Function", "innerHTML", "insertAdjacentHTML", "document.write", "://"):
        assert word not in text, word
