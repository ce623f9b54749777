"""Circles of imports are found, those of imports inside of functions too."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_circles


def _tree(folder: Path, **sources: str) -> Path:
    package = folder / "lifecycle"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    return folder


@pytest.mark.parametrize(
    "back",
    [
        "from lifecycle import a",
        "from lifecycle.a import x",
        "import lifecycle.a",
        "from . import a",
        "from .a import x",
        "def f():\n    from lifecycle.a import x",
        "if True:\n    import lifecycle.a as other",
    ],
)
def test_a_circle_is_found_however_it_is_imported(tmp_path: Path, back: str) -> None:
    root = _tree(tmp_path, a="from lifecycle.b import y", b=back)
    found = check_circles.circle(check_circles.graph(root))
    assert set(found) == {"lifecycle.a", "lifecycle.b"}


def test_an_import_for_type_checkers_alone_is_none(tmp_path: Path) -> None:
    only_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lifecycle.a import x"
    root = _tree(tmp_path, a="from lifecycle.b import y", b=only_types)
    assert check_circles.circle(check_circles.graph(root)) == []
