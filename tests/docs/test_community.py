"""The files that a contributor looks for say what the repository does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).parents[2]


def test_the_hooks_before_a_commit_run_what_make_check_runs() -> None:
    recipe = re.findall(r"^check:.*\n((?:\t.*\n)+)", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    checked = [line.strip().replace("$(PYTHON)", ".venv/bin/python") for line in recipe[0].splitlines()]
    (local,) = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    at = {hook["entry"]: hook.get("stages", ["pre-commit"]) for hook in local["hooks"]}
    assert {entry for entry, stages in at.items() if stages == ["pre-commit"]} <= set(checked)
    assert [entry for entry, stages in at.items() if stages == ["pre-push"]] == ["make check"]
    assert all((CHECKOUT / entry.split()[1]).is_file() for entry in at if "scripts/" in entry)


def test_issue_templates_have_a_name_and_a_description() -> None:
    templates = list((CHECKOUT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
    assert len(templates) == 2
    for template in templates:
        front = yaml.safe_load(template.read_text().split("---")[1])
        assert front["name"]
        assert front["about"]


def test_the_changelog_keeps_its_form() -> None:
    """Keep a Changelog: categories in order, entries of at most two lines."""
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    versions = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert versions[0].startswith("[Unreleased]\n")
    order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for version in versions:
        title, _, body = version.partition("\n")
        assert title == "[Unreleased]" or re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title)
        categories = re.findall(r"^### (.*)", body, re.MULTILINE)
        assert categories == [one for one in order if one in categories]
    long = [entry for entry in re.findall(r"^- .*(?:\n  .*)*", text, re.MULTILINE) if entry.count("\n") > 1]
    assert long == []
