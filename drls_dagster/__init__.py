"""How it runs: Dagster assets, the Spark-on-Ray engine and Iceberg tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drls_dagster.component import PipelineComponent

__all__ = ["PipelineComponent"]


def __getattr__(name: str) -> Any:
    """What Dagster projects use, imported when they do: it brings Dagster, which takes two seconds."""
    if name == "PipelineComponent":
        from drls_dagster.component import PipelineComponent

        return PipelineComponent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
