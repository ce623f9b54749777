"""docs/reference is what the code says, and the public API is typed."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pyarrow as pa
import pytest

import drls_dagster

CHECKOUT = Path(__file__).parents[2]
# Types that importing the API does not load.
UNLOADED = (
    "AnyPipeline", "Catalog", "DataFrame", "Dataset", "GivenRows", "Pipeline", "PipelineSpec", "SparkSession", "VersionInfo",
)  # fmt: skip


def test_the_reference_fits_the_code() -> None:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "scripts" / "reference", "--check"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", drls_dagster.__all__)
def test_a_public_name_is_documented_and_typed(name: str) -> None:
    found = getattr(drls_dagster, name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        hints = typing.get_type_hints(found, localns=dict.fromkeys(UNLOADED, object))
        assert {*inspect.signature(found).parameters, "return"} <= hints.keys()


def test_importing_the_package_imports_none_of_the_public_names() -> None:
    heavy = "import sys, drls_dagster; print([m for m in ('dagster', 'pyiceberg', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", heavy], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        drls_dagster.nothing  # noqa: B018


def test_the_example_of_the_python_page_runs(drls_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(
        r"^```python\n(from pathlib.*?)^```",
        (CHECKOUT / "docs/reference/python.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/orders.yaml").write_text((CHECKOUT / "docs/pipeline-example.yaml").read_text())
    catalog = drls_dagster.load_catalog()
    catalog.create_namespace("sales")
    catalog.create_table("sales.revenue", schema=pa.schema([("x", pa.int64())]))
    names: dict[str, typing.Any] = {}
    exec(example, names)  # noqa: S102 (a page of this repository)
    assert names["spec"].name == "flights_daily"
    assert names["table"].name() == ("sales", "revenue")
