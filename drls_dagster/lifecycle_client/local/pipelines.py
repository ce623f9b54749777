"""Definitions and versions in a store of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from drls_dagster.lifecycle_client.interface import Pipelines
from drls_dagster.lifecycle_client.local.naming import Names
from drls_dagster.lifecycle_client.local.session import Session
from drls_dagster.lifecycle_client.results import PipelineInfo, VersionDetail, VersionInfo
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.version import Pipeline, Summary, Version
from lifecycle.errors import NotFound
from lifecycle.spec import PipelineSpec
from lifecycle.store.unit import View
from lifecycle.usecases.clone_pipeline import clone_pipeline
from lifecycle.usecases.delete_pipeline import delete_pipeline
from lifecycle.usecases.export_version import export_version
from lifecycle.usecases.import_version import import_version
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.visible import sees
from lifecycle.usecases.save_version import save_version

_PAGE = 500


class LocalPipelines(Pipelines):
    """Calls the use cases."""

    def __init__(self, session: Session) -> None:
        self._session = session

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
        actor = self._session.acting(TokenScope.WRITE)
        ctx = replace(self._session.ctx, search_path=tuple(search_path))
        return self._shown(save_version(ctx, actor, spec, message=message, on=on, if_newest=if_newest, key=key))

    def list(self) -> tuple[PipelineInfo, ...]:
        actor = self._session.acting(TokenScope.READ)
        with self._session.ctx.store.read() as view:
            return tuple(
                PipelineInfo(name=one.name, newest=one.newest, active=one.active)
                for one in _all(view)
                if sees(view, actor, one.id)
            )

    def versions(self, name: str) -> tuple[VersionInfo, ...]:
        with self._session.ctx.store.read() as view:
            pipeline = self._visible(view, name)
            names = Names(view)
            found: list[VersionInfo] = []
            while page := view.pipelines.versions(pipeline.id, found[-1].number if found else None, _PAGE):
                found += [names.version_info(version) for version in page]
            return tuple(found)

    def version(self, name: str, number: int | None = None) -> VersionDetail:
        with self._session.ctx.store.read() as view:
            pipeline = self._visible(view, name)
            version = (
                view.pipelines.newest(pipeline.id) if number is None else view.pipelines.numbered(pipeline, number)
            )
            if version is None:
                raise NotFound(f"{name} has no version")
            return VersionDetail(
                **Names(view).version_info(version).model_dump(), spec=version.spec, origin=version.origin
            )

    def export(self, name: str, number: int) -> bytes:
        return export_version(self._session.ctx, self._session.acting(TokenScope.READ), name, number)

    def import_bundle(self, data: bytes, *, trusted: Sequence[str] = (), key: str | None = None) -> VersionInfo:
        actor = self._session.acting(TokenScope.WRITE)
        return self._shown(import_version(self._session.ctx, actor, data, trusted=trusted, key=key))

    def clone(self, name: str, number: int, *, to: str | None = None, key: str | None = None) -> VersionInfo:
        actor = self._session.acting(TokenScope.WRITE)
        return self._shown(clone_pipeline(self._session.ctx, actor, name, number, to=to, key=key))

    def delete(self, name: str, *, key: str | None = None) -> None:
        delete_pipeline(self._session.ctx, self._session.acting(TokenScope.WRITE), name, key=key)

    def _visible(self, view: View, name: str) -> Pipeline:
        pipeline = view.pipelines.named(name)
        actor = self._session.acting(TokenScope.READ)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking at a pipeline")
        return pipeline

    def _shown(self, version: Version) -> VersionInfo:
        with self._session.ctx.store.read() as view:
            return Names(view).version_info(version)


def _all(view: View) -> list[Summary]:
    found: list[Summary] = []
    while page := view.pipelines.summaries(found[-1].name if found else "", _PAGE):
        found += page
    return found
