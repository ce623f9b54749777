"""JSON Schema of the pipeline file, for editors."""

from __future__ import annotations

from typing import Any

from lifecycle.spec.pipeline import PipelineSpec


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a pipeline file. It covers the fields, not the rules between them."""
    schema = PipelineSpec.model_json_schema(by_alias=True, mode="validation")
    for model in schema["$defs"].values():
        fields: dict[str, Any] = model.get("properties", {})
        # The models know their own kind; a file has to say it.
        kinds = [name for name in ("type", "step", "kind") if "const" in fields.get(name, {})]
        if kinds:
            model["required"] = sorted({*model.get("required", []), *kinds})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "DRLS pipeline, format_version 1",
    }
