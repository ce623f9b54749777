"""Every name that DRLS gives a run, a step or an asset is written once."""

from __future__ import annotations

import ast
from pathlib import Path

from drls_dagster import tags
from drls_dagster.dagster_private import tags as dagsters

TOP = Path(__file__).parents[2]
NAMES = {
    value
    for module in (tags, dagsters)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str) and "/" in value
}
DEFINED = TOP / "drls_dagster" / "tags.py"


def test_no_tag_is_spelled_a_second_time() -> None:
    assert {"drls/pipeline", "drls/version", "drls/lane", "dagster/partition"} <= NAMES
    files = [file for folder in ("drls_dagster", "lifecycle", "benchmarks") for file in (TOP / folder).rglob("*.py")]
    again = [
        f"{file.relative_to(TOP)}:{node.lineno}: {node.value}"
        for file in files
        if file != DEFINED and any(name in file.read_text() for name in NAMES)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in NAMES
    ]
    assert again == [], "import it from drls_dagster.tags or drls_dagster.dagster_private.tags"
