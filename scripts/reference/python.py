"""docs/reference/python.md, from the names that drls_dagster makes public."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel
from words import MADE, kind, table

import drls_dagster
from drls_dagster import custom

FIELDS = {
    "PipelineSpec": "Its fields are those of [the pipeline file](../pipeline-fields.md).",
    "Settings": "Its fields are [the settings](settings.md).",
}


def python() -> str:
    text = [
        "# Python",
        MADE,
        f"{inspect.getdoc(drls_dagster)}\n",
        "```python",
        "from pathlib import Path",
        "",
        "import drls_dagster as drls",
        "",
        'spec = drls.load_pipeline(Path("pipelines/orders.yaml"))',
        'table = drls.load_catalog().load_table("sales.revenue")',
        'print(drls.table("sales.revenue").health().recommendation)',
        "```\n",
        "Rows, Spark, Ray and runs, on the warm engine:\n",
        "```python",
        "import drls_dagster as drls",
        "",
        'revenue = drls.read("sales.revenue")  # pinned to its newest snapshot',
        "print(revenue.to_arrow().num_rows, revenue.to_pandas().describe())",
        'print(revenue.to_duckdb().filter("id > 1").count("*"))',
        'large = revenue.to_spark().where("id > 1")',
        'result = drls.run("pipelines/orders.yaml")',
        "print(result.state, result.run_id, result.failed_step)",
        "drls.stop()",
        "```\n",
        "[Test a pipeline](../how-to/test-a-pipeline.md) shows how to write pipelines and their unit tests.\n",
    ]
    for name in drls_dagster.__all__:
        found = getattr(drls_dagster, name)
        text += [f"## {name}\n", *described(name, found)]
    summary, _, _ = (inspect.getdoc(custom) or "").partition("\n")
    text += ["## drls_dagster.custom\n", f"{summary} See [commands](../how-to/commands.md).\n"]
    for name in custom.__all__:
        text += [f"### custom.{name}\n", *described(name, getattr(custom, name))]
    return "\n".join(text)


def described(name: str, found: Any) -> list[str]:
    doc = inspect.getdoc(found)
    if not doc:
        raise SystemExit(f"drls_dagster.{name} has no docstring")
    if inspect.ismodule(found):
        classes = ", ".join(f"`{one}`" for one in found.__all__ if inspect.isclass(getattr(found, one)))
        return [f"The module `{found.__name__}`. {doc}\n", f"Its classes: {classes}.\n"]
    if not inspect.isclass(found):
        return ["```python", f"def {name}{signature(found)}", "```\n", f"{doc}\n"]
    bases = ", ".join(one.__name__ for one in found.__bases__ if one is not object)
    text = ["```python", f"class {name}({bases})", "```\n", f"{doc}\n"]
    if name in FIELDS:
        text.append(f"{FIELDS[name]}\n")
    elif issubclass(found, BaseModel):
        rows = [
            (f"`{one}`", kind(field.annotation), field.description or "") for one, field in found.model_fields.items()
        ]
        text += [*table(("field", "type", "meaning"), rows), ""]
    for inner, method in vars(found).items():
        is_public = not inner.startswith("_") and inspect.isfunction(method) and bool(inspect.getdoc(method))
        if is_public and inner not in ("model_post_init", "build_defs"):
            text += ["```python", f"{name}.{inner}{signature(method)}", "```\n", f"{inspect.getdoc(method)}\n"]
    return text


def signature(found: Any) -> str:
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Z])", "", str(inspect.signature(found)).replace("'", ""))
