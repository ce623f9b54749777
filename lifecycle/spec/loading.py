"""From a file to a checked spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lifecycle.spec.errors import Problem, SpecError
from lifecycle.spec.messages import problems_of
from lifecycle.spec.pipeline import MAX_NODES, PipelineSpec
from lifecycle.spec.reading import MAX_BYTES, read_text


def load_pipeline(path: Path) -> PipelineSpec:
    """Read and check a YAML or JSON file. Raises SpecError, which names the file."""
    try:
        with path.open("rb") as file:
            return parse_pipeline(file.read(MAX_BYTES + 1))
    except SpecError as error:
        raise SpecError(error.problems, str(path)) from None
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise SpecError([Problem(None, None, message, "check its path and permissions")], str(path)) from None


def parse_pipeline(text: str | bytes) -> PipelineSpec:
    """Read and check YAML or JSON. Raises SpecError with every problem it found."""
    return check_definition(read_text(text))


def check_definition(data: dict[str, Any]) -> PipelineSpec:
    """The spec of a definition as plain values, with lists and dicts alone. Raises SpecError with every problem."""
    from lifecycle.spec.rules import validate

    spec = _fields(data)
    problems = validate(spec)
    if problems:
        raise SpecError(problems)
    return spec


def _fields(data: dict[str, Any]) -> PipelineSpec:
    nodes = data.get("nodes")
    if isinstance(nodes, list) and len(nodes) > MAX_NODES:  # pyright: ignore[reportUnknownArgumentType]
        raise SpecError([Problem(None, "nodes", f"there are more than {MAX_NODES} nodes", "split the pipeline")])
    try:
        return PipelineSpec.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise SpecError(problems_of(error, data)) from None
