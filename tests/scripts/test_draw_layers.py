"""The design page shows the layers that the contracts hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import draw_layers

_CONTRACTS = """
[[tool.importlinter.contracts]]
name = "thing"
type = "layers"
containers = ["thing"]
layers = ["top", "left | right"]
"""


def test_the_design_page_shows_the_layers_as_they_are() -> None:
    page = draw_layers.PAGE.read_text()
    assert draw_layers.written(page, draw_layers.drawing()) == page, "run scripts/draw_layers.py"


def test_every_module_of_a_layer_stands_with_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(_CONTRACTS)
    for place, text in {
        "top/__init__.py": "Up here.",
        "left.py": "On the left.\n\nMore.",
        "right.py": "There.",
    }.items():
        file = tmp_path / "thing" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'"""{text}"""\n')
    lines = [" ".join(line.split()) for line in draw_layers.drawing(tmp_path).splitlines()]
    assert lines == ["```", "thing/", "1 top/ Up here", "2 left.py On the left", "right.py There", "```"]


def test_a_page_without_a_place_for_them_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for the layers"):
        draw_layers.written("# Design", "drawing")
