"""Files of a draft's code, which nobody saved: they are read from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from drls_dagster.steps import version_code
from lifecycle.spec import content_digest


class Nothing:
    """A lifecycle that keeps no code."""

    def code(self, digests: set[str]) -> dict[str, bytes]:
        return {}


def test_the_folder_of_a_dbt_project_may_have_the_name_of_any_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a module of that name on Python's path, its files were "neither in the lifecycle store nor in" the folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "shop.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    (tmp_path / "landing" / "shop").mkdir(parents=True)
    (tmp_path / "landing" / "shop" / "dbt_project.yml").write_bytes(b"name: shop\n")
    wanted = {"shop/dbt_project.yml": content_digest(b"name: shop\n")}
    found = version_code._contents(wanted, cast(Any, Nothing()), (str(tmp_path / "landing"),))
    assert found == {"shop/dbt_project.yml": b"name: shop\n"}


def test_a_module_is_still_read_from_where_python_finds_it(tmp_path: Path) -> None:
    (tmp_path / "first" / "etl").mkdir(parents=True)
    (tmp_path / "second" / "etl").mkdir(parents=True)
    (tmp_path / "second" / "etl" / "__init__.py").write_bytes(b"")
    (tmp_path / "first" / "etl" / "clean.py").write_bytes(b"first")
    (tmp_path / "second" / "etl" / "clean.py").write_bytes(b"second")
    wanted = {"etl/clean.py": content_digest(b"second")}
    path = (str(tmp_path / "first"), str(tmp_path / "second"))
    assert version_code._contents(wanted, cast(Any, Nothing()), path) == {"etl/clean.py": b"second"}
