"""Pipelines and their versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.orm import aliased

from lifecycle.domain.environment import Environment
from lifecycle.domain.version import Contribution, Pipeline, Summary, Version
from lifecycle.errors import NotFound
from lifecycle.store.tables import DeploymentRow, PipelineRow, SavedRow, SinkTableRow, VersionRow
from lifecycle.store.tx import Tx, by

_HEADS = (
    VersionRow.id, VersionRow.pipeline_id, VersionRow.number, VersionRow.digest, VersionRow.parent_id,
    VersionRow.message, VersionRow.origin, VersionRow.author, VersionRow.acted_for, VersionRow.created_at,
)  # fmt: skip

_ACTIVE = aliased(VersionRow)
_BY_NAME = by(PipelineRow, "name")
_BY_ID = by(PipelineRow, "id")
_VERSION = by(VersionRow, "id")
_NUMBERED = by(VersionRow, "pipeline_id", "number")
_WITH_DIGEST = by(VersionRow, "pipeline_id", "digest")
_NEWEST = by(VersionRow, "pipeline_id", order=(VersionRow.number.desc(),), limit=1)
_NEWEST_DIGEST = (
    select(VersionRow.digest)
    .where(VersionRow.pipeline_id == bindparam("pipeline_id"))
    .order_by(VersionRow.number.desc())
    .limit(1)
)
_NEWEST_DIGESTS = (
    select(PipelineRow.id, PipelineRow.name, VersionRow.digest)
    .join(VersionRow, VersionRow.pipeline_id == PipelineRow.id)
    .where(VersionRow.id.in_(select(func.max(VersionRow.id)).group_by(VersionRow.pipeline_id)))
)
_PARENTS = (
    select(SavedRow.version_id, SavedRow.parent_id)
    .join(VersionRow, VersionRow.id == SavedRow.version_id)
    .where(
        VersionRow.pipeline_id.in_(bindparam("pipeline_ids", expanding=True)),
        SavedRow.parent_id.is_not(None),
    )
)
_SPECS = select(VersionRow.digest, VersionRow.spec).where(VersionRow.digest.in_(bindparam("digests", expanding=True)))
_TABLES = (
    select(SinkTableRow.name).where(SinkTableRow.version_id == bindparam("version_id")).order_by(SinkTableRow.name)
)
_TABLES_OF = (
    select(SinkTableRow.version_id, SinkTableRow.name)
    .where(SinkTableRow.version_id.in_(bindparam("version_ids", expanding=True)))
    .order_by(SinkTableRow.name)
)
_NUMBERS = select(VersionRow.id, VersionRow.number).where(VersionRow.id.in_(bindparam("version_ids", expanding=True)))
_CONTRIBUTIONS = select(
    SavedRow.version_id, SavedRow.parent_id, SavedRow.person, SavedRow.acted_for, SavedRow.at
).where(SavedRow.version_id.in_(bindparam("version_ids", expanding=True)))
_DIGESTS = select(VersionRow.pipeline_id, VersionRow.id, VersionRow.digest).where(
    VersionRow.pipeline_id.in_(bindparam("pipeline_ids", expanding=True))
)
_SAVED_BY = (
    select(VersionRow.pipeline_id, VersionRow.id)
    .join(SavedRow, SavedRow.version_id == VersionRow.id)
    .where(
        or_(
            SavedRow.person.in_(bindparam("accounts", expanding=True)),
            SavedRow.acted_for.in_(bindparam("accounts", expanding=True)),
        )
    )
)
_NAMED_VERSIONS = (
    select(VersionRow.id, VersionRow.pipeline_id, PipelineRow.name, VersionRow.digest)
    .join(PipelineRow, PipelineRow.id == VersionRow.pipeline_id)
    .where(VersionRow.id.in_(bindparam("version_ids", expanding=True)))
)
_OWNERS = (
    select(SinkTableRow.name, PipelineRow.name)
    .join(DeploymentRow, DeploymentRow.version_id == SinkTableRow.version_id)
    .join(PipelineRow, PipelineRow.id == DeploymentRow.pipeline_id)
    .where(
        SinkTableRow.name.in_(bindparam("tables", expanding=True)),
        DeploymentRow.ended_at.is_(None),
        DeploymentRow.pipeline_id != bindparam("but"),
    )
)

_LIST = by(
    PipelineRow,
    where=(PipelineRow.deleted_at.is_(None), PipelineRow.name > bindparam("after")),
    order=(PipelineRow.name,),
).limit(bindparam("limit"))
_LISTED = _LIST.subquery()
_SUMMARIES = (
    select(
        _LISTED.c.id,
        _LISTED.c.name,
        select(func.max(VersionRow.number)).where(VersionRow.pipeline_id == _LISTED.c.id).scalar_subquery(),
        DeploymentRow.environment,
        _ACTIVE.number,
    )
    .outerjoin(DeploymentRow, and_(DeploymentRow.pipeline_id == _LISTED.c.id, DeploymentRow.ended_at.is_(None)))
    .outerjoin(_ACTIVE, _ACTIVE.id == DeploymentRow.version_id)
    .order_by(_LISTED.c.name)
)


class Pipelines:
    """Pipelines, versions, who contributed, and which tables a version writes."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add(self, name: str, created_by: int | None) -> Pipeline:
        self._tx.insert(PipelineRow, name=name, created_at=self._tx.now, created_by=created_by)
        return self.named(name)

    def find(self, name: str) -> Pipeline | None:
        """A pipeline by name, deleted ones too."""
        return self._tx.prepared(Pipeline, _BY_NAME, name=name)

    def named(self, name: str) -> Pipeline:
        """A pipeline by name. Raises NotFound when it does not exist or was deleted."""
        pipeline = self.find(name)
        if pipeline is None or pipeline.deleted_at is not None:
            raise NotFound(f"there is no pipeline {name!r}; drls pipeline list shows all pipelines")
        return pipeline

    def get(self, pipeline_id: int) -> Pipeline:
        pipeline = self._tx.prepared(Pipeline, _BY_ID, id=pipeline_id)
        if pipeline is None:
            raise NotFound(f"there is no pipeline with the id {pipeline_id}")
        return pipeline

    def list(self, after: str = "", limit: int = 100) -> tuple[Pipeline, ...]:
        """Pipelines that are not deleted, by name."""
        return self._tx.prepared_many(Pipeline, _LIST, after=after, limit=limit)

    def summaries(self, after: str = "", limit: int = 100) -> tuple[Summary, ...]:
        """The same with their versions' numbers, in one query."""
        found: dict[int, tuple[str, int, dict[Environment, int]]] = {}
        for key, name, newest, environment, number in self._tx.prepared_tuples(_SUMMARIES, after=after, limit=limit):
            _, _, active = found.setdefault(key, (name, newest, {}))
            if environment is not None:
                active[Environment(environment)] = number
        return tuple(
            Summary(id=key, name=name, newest=newest, active=active) for key, (name, newest, active) in found.items()
        )

    def living_names(self, pipeline_ids: Iterable[int]) -> dict[int, str]:
        """The names of those that are not deleted, by id."""
        query = select(PipelineRow.id, PipelineRow.name).where(
            PipelineRow.id.in_(list(pipeline_ids)), PipelineRow.deleted_at.is_(None)
        )
        return {row[0]: row[1] for row in self._tx.tuples(query)}

    def bury(self, pipeline: Pipeline, by: int | None) -> None:
        """Writes the tombstone."""
        self._tx.update(
            update(PipelineRow)
            .where(PipelineRow.id == pipeline.id, PipelineRow.deleted_at.is_(None))
            .values(deleted_at=self._tx.now, deleted_by=by)
        )

    def add_version(self, pipeline: Pipeline, tables: Iterable[str], **values: Any) -> Version:
        """Adds the next version; `values` are the fields of Version that the caller decides."""
        number = 1 + (self._newest_number(pipeline.id) or 0)
        version_id = self._tx.insert(
            VersionRow, pipeline_id=pipeline.id, number=number, created_at=self._tx.now, **values
        )
        for table in tables:
            self._tx.insert(SinkTableRow, version_id=version_id, name=table)
        return self.version(version_id)

    def add_contribution(self, contribution: Contribution) -> None:
        self._tx.insert(SavedRow, **{**contribution.model_dump(), "at": self._tx.now})

    def version(self, version_id: int) -> Version:
        found = self._tx.prepared(Version, _VERSION, id=version_id)
        if found is None:
            raise NotFound(f"there is no version with the id {version_id}")
        return found

    def numbered(self, pipeline: Pipeline, number: int) -> Version:
        """`pipeline`'s version `number`. Raises NotFound."""
        found = self._tx.prepared(Version, _NUMBERED, pipeline_id=pipeline.id, number=number)
        if found is None:
            raise NotFound(f"{pipeline.name} has no version {number}; drls pipeline show {pipeline.name} lists them")
        return found

    def with_digest(self, pipeline_id: int, digest: str) -> Version | None:
        return self._tx.prepared(Version, _WITH_DIGEST, pipeline_id=pipeline_id, digest=digest)

    def newest(self, pipeline_id: int) -> Version | None:
        return self._tx.prepared(Version, _NEWEST, pipeline_id=pipeline_id)

    def newest_digest(self, pipeline_id: int) -> str | None:
        """The newest version's digest, without reading its spec."""
        found = self._tx.prepared_tuples(_NEWEST_DIGEST, pipeline_id=pipeline_id)
        return found[0][0] if found else None

    def versions(self, pipeline_id: int, below: int | None = None, limit: int = 100) -> tuple[Version, ...]:
        """Versions, newest first, without their specs (`spec` is empty); `below` pages on."""
        key = ("versions", pipeline_id, below, limit)
        return self._tx.once(key, lambda: self._versions(pipeline_id, below, limit), rows=limit)

    def _versions(self, pipeline_id: int, below: int | None, limit: int) -> tuple[Version, ...]:
        query = select(*_HEADS).where(VersionRow.pipeline_id == pipeline_id)
        if below is not None:
            query = query.where(VersionRow.number < below)
        rows = self._tx.tuples(query.order_by(VersionRow.number.desc()).limit(limit))
        names = [column.key for column in _HEADS]
        return tuple(Version(spec="", **dict(zip(names, row, strict=True))) for row in rows)

    def specs(self, digests: Sequence[str]) -> dict[str, str]:
        """The canonical text of these versions, by digest."""
        found: dict[str, str] = {}
        for start in range(0, len(digests), 500):
            rows = self._tx.prepared_tuples(_SPECS, digests=list(digests[start : start + 500]))
            found.update((row[0], row[1]) for row in rows)
        return found

    def digests(self, pipeline_ids: Iterable[int]) -> tuple[tuple[int, int, str], ...]:
        """Every version of these pipelines: the pipeline's id, its own, and its digest."""
        rows = self._tx.prepared_tuples(_DIGESTS, pipeline_ids=sorted(pipeline_ids))
        return tuple((pipeline_id, version_id, digest) for pipeline_id, version_id, digest in rows)

    def parents(self, *pipeline_ids: int) -> Mapping[int, frozenset[int]]:
        """By version of these pipelines: every version that it was saved on."""
        found: dict[int, set[int]] = {}
        for version_id, parent_id in self._tx.prepared_tuples(_PARENTS, pipeline_ids=sorted(pipeline_ids)):
            found.setdefault(version_id, set()).add(parent_id)
        return {version_id: frozenset(parents) for version_id, parents in found.items()}

    def contributions(self, version_ids: Iterable[int]) -> tuple[Contribution, ...]:
        return self._tx.prepared_many(Contribution, _CONTRIBUTIONS, version_ids=sorted(version_ids))

    def saved_by(self, accounts: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """What these accounts saved, or had somebody save: pipeline and version."""
        rows = self._tx.prepared_tuples(_SAVED_BY, accounts=sorted(accounts))
        return tuple((pipeline_id, version_id) for pipeline_id, version_id in rows)

    def named_versions(self, version_ids: Iterable[int]) -> dict[int, tuple[int, str, str]]:
        """By version: its pipeline's id and name, and its digest."""
        rows = self._tx.prepared_tuples(_NAMED_VERSIONS, version_ids=sorted(version_ids))
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def tables(self, version_id: int) -> tuple[str, ...]:
        """The sink tables of a version."""
        return tuple(row[0] for row in self._tx.prepared_tuples(_TABLES, version_id=version_id))

    def tables_of(self, version_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
        """The sink tables of versions, by version."""
        found: dict[int, tuple[str, ...]] = {}
        for version_id, name in self._tx.prepared_tuples(_TABLES_OF, version_ids=sorted(version_ids)):
            found[version_id] = (*found.get(version_id, ()), name)
        return found

    def numbers(self, version_ids: Iterable[int]) -> dict[int, int]:
        """The numbers of versions, by their ids."""
        return {row[0]: row[1] for row in self._tx.prepared_tuples(_NUMBERS, version_ids=sorted(version_ids))}

    def newest_digests(self) -> dict[int, tuple[str, str]]:
        """By pipeline, deleted ones too: its name and the digest of its newest version."""
        return {row[0]: (row[1], row[2]) for row in self._tx.prepared_tuples(_NEWEST_DIGESTS)}

    def names(self, pipeline_ids: Iterable[int]) -> dict[int, str]:
        """The names of pipelines, by their ids."""
        query = select(PipelineRow.id, PipelineRow.name).where(PipelineRow.id.in_(list(pipeline_ids)))
        return {row[0]: row[1] for row in self._tx.tuples(query)}

    def owners(self, tables: Iterable[str], but: int) -> dict[str, str]:
        """Which other pipeline writes each of `tables` in a version that is active anywhere (D11)."""
        return {row[0]: row[1] for row in self._tx.prepared_tuples(_OWNERS, tables=list(tables), but=but)}

    def _newest_number(self, pipeline_id: int) -> int | None:
        return self._tx.values(select(func.max(VersionRow.number)).where(VersionRow.pipeline_id == pipeline_id))[0]
