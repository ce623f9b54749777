"""What a run launcher is handed, and where the code of a run is."""

from __future__ import annotations

from dagster._core.code_pointer import CodePointer, ModuleCodePointer, PackageCodePointer
from dagster._core.launcher import LaunchRunContext


def module_of(pointer: CodePointer) -> str | None:
    """The module that a code location was loaded from; None for one of a file."""
    return pointer.module if isinstance(pointer, ModuleCodePointer | PackageCodePointer) else None
