"""Pydantic's errors in plain words, with the node, the field and what to do."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from lifecycle.spec.errors import Problem


def problems_of(error: ValidationError, data: dict[str, Any]) -> tuple[Problem, ...]:
    return tuple(
        Problem(None, ".".join(str(p) for p in item["loc"]), item["msg"], None) for item in error.errors(include_url=False)
    )
