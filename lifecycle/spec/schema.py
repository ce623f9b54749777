"""JSON Schema of the pipeline file, for editors."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lifecycle.spec.pipeline import PipelineSpec


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a pipeline file. It knows the fields, not the rules between them."""
    return dict(_schema())


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    schema = PipelineSpec.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "DRLS pipeline, format_version 1",
    }
