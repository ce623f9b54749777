"""The lock block: what the names in a spec stand for (L2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lifecycle.spec.pipeline import PipelineSpec


def resolve_lock(spec: PipelineSpec, search_path: Sequence[Path]) -> PipelineSpec:
    return spec


def package_digest(module: str, search_path: Sequence[Path]) -> str:
    return ""
