"""What a strict Content-Security-Policy and htmx's own traps forbid in templates and scripts."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

APP = Path(str(files("lifecycle.app")))
TEMPLATES = sorted(APP.glob("*/templates/**/*.html"))
SCRIPTS = sorted(one for one in APP.glob("*/static/*.js") if not one.name.startswith("htmx"))
FORBIDDEN = {
    r"\sstyle\s*=": "a style attribute",
    r"<style": "an inline style sheet",
    r"<script(?![^>]*\bsrc=)": "an inline script",
    r"\son[a-z]+\s*=": "an inline handler",
    r"hx-on": "hx-on",
    r"\bjs:|javascript:": "code in an attribute",
    r'hx-trigger="[^"]*\[': "a trigger filter",
    r"hx-headers|hx-vals": "an inherited header or value",
    r"\|\s*safe\b": "unescaped output",
    r"https?://": "an address of another site",
}


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_a_template_has_nothing_that_the_policy_forbids(file: Path) -> None:
    text = file.read_text()
    for pattern, what in FORBIDDEN.items():
        assert not re.search(pattern, text), f"{file.name} has {what}"


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_a_script_neither_evaluates_nor_writes_html(file: Path) -> None:
    text = file.read_text()
    for word in (
        "eval(",
        "new Function",
        "innerHTML",
        "outerHTML =",
        "insertAdjacentHTML",
        "document.write",
        "http://",
    ):
        assert word not in text, f"{file.name} has {word}"


def test_every_form_that_changes_something_carries_the_csrf_field() -> None:
    for file in TEMPLATES:
        for form in re.findall(r"<form\b.*?</form>", file.read_text(), re.DOTALL):
            if 'method="post"' in form and "/sign-in" not in form:
                assert 'name="csrf"' in form, f"a form in {file.name} has no CSRF field"
