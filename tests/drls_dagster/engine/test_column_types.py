"""A schema may name a Python class of its own making: a run's process imports none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql.types import StructType, UserDefinedType

from drls_dagster.engine.connection import PythonType, import_no_types


@pytest.fixture(autouse=True)
def types_as_before() -> Iterator[None]:
    before = UserDefinedType.__dict__["fromJson"]
    yield
    UserDefinedType.fromJson = before


def schema(python_class: str) -> StructType:
    column = {"name": "x", "type": {"type": "udt", "pyClass": python_class}, "nullable": True, "metadata": {}}
    return StructType.fromJson({"type": "struct", "fields": [column]})


def test_a_class_that_a_schema_names_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drls_evil.py").write_text(
        "from pyspark.sql.types import UserDefinedType\nclass Evil(UserDefinedType): pass"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import_no_types()
    assert isinstance(schema("drls_evil.Evil")["x"].dataType, PythonType)
    assert "drls_evil" not in sys.modules


def test_vectors_of_spark_are_known() -> None:
    import_no_types()
    assert schema("pyspark.ml.linalg.VectorUDT")["x"].dataType.typeName() == "vectorudt"
