"""Definitions and their versions: what can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from drls_dagster.lifecycle_client.results import PipelineInfo, VersionDetail, VersionInfo
from lifecycle.spec import PipelineSpec


class Pipelines(ABC):
    """Definitions and their versions."""

    @abstractmethod
    def save(
        self,
        spec: PipelineSpec,
        *,
        search_path: Sequence[Path] = (),
        message: str = "",
        on: int | None = None,
        if_newest: str | None = None,
        key: str | None = None,
    ) -> VersionInfo:
        """Saves a definition. Code that it names is looked for on `search_path` (L2). `on`: its parent version.

        Raises SpecError when that code is not found.
        """

    @abstractmethod
    def list(self) -> tuple[PipelineInfo, ...]:
        """Every pipeline that the person may look at, by name."""

    @abstractmethod
    def versions(self, name: str) -> tuple[VersionInfo, ...]:
        """The versions of a pipeline, newest first."""

    @abstractmethod
    def version(self, name: str, number: int | None = None) -> VersionDetail:
        """One version; the newest when no number is given."""

    @abstractmethod
    def export(self, name: str, number: int) -> bytes:
        """The signed bundle of a version."""

    @abstractmethod
    def import_bundle(self, data: bytes, *, trusted: Sequence[str] = (), key: str | None = None) -> VersionInfo:
        """Saves the definition in a bundle that this lifecycle or a `trusted` key (hexadecimal) signed."""

    @abstractmethod
    def clone(self, name: str, number: int, *, to: str | None = None, key: str | None = None) -> VersionInfo:
        """Saves a version again: as the newest of its pipeline, or as the pipeline `to`."""

    @abstractmethod
    def delete(self, name: str, *, key: str | None = None) -> None:
        """Leaves a tombstone; the name stays reserved (L16)."""
