"""From rows with ids to results with names."""

from __future__ import annotations

from drls_dagster.lifecycle_client.results import (
    Active,
    DriftInfo,
    GrantInfo,
    HoldInfo,
    PersonInfo,
    Request,
    VersionInfo,
    drift_of,
    request_of,
)
from lifecycle.domain.environment import Environment, stage_of
from lifecycle.domain.people import Grant, Person
from lifecycle.domain.policy import Hold
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.run import Drift
from lifecycle.domain.version import Deployment, Version
from lifecycle.store.unit import View


class Names:
    """Looks names up in one picture of the store, each once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._people: dict[int, str] = {}
        self._pipelines: dict[int, str] = {}
        self._versions: dict[int, int] = {}

    def person(self, person_id: int | None) -> str | None:
        if person_id is None:
            return None
        if not self._people:
            self._people = {person.id: person.name for person in self._view.people.all()}
        return self._people[person_id]

    def pipeline(self, pipeline_id: int) -> str:
        if pipeline_id not in self._pipelines:
            self._pipelines[pipeline_id] = self._view.pipelines.get(pipeline_id).name
        return self._pipelines[pipeline_id]

    def version(self, version_id: int) -> int:
        if version_id not in self._versions:
            self._versions[version_id] = self._view.pipelines.version(version_id).number
        return self._versions[version_id]

    def version_info(self, version: Version) -> VersionInfo:
        history = [one for one in self._view.deployments.history(version.pipeline_id) if one.version_id == version.id]
        active = [one.environment for one in history if one.ended_at is None]
        in_production = [one for one in history if one.environment is Environment.PRODUCTION]
        retired = bool(in_production) and (in_production[-1].ended_reason or "").startswith("retired")
        return VersionInfo(
            pipeline=self.pipeline(version.pipeline_id),
            number=version.number,
            digest=version.digest,
            stage=stage_of(frozenset(active), retired=retired),
            active_in=tuple(sorted(active, key=lambda environment: environment.rank)),
            message=version.message,
            author=self.person(version.author),
            created_at=version.created_at,
        )

    def request(self, promotion: Promotion, waiting: str = "") -> Request:
        return request_of(promotion, self.person, waiting)

    def active(self, deployment: Deployment) -> Active:
        return Active(
            environment=deployment.environment,
            pipeline=self.pipeline(deployment.pipeline_id),
            version=self.version(deployment.version_id),
            digest=deployment.deployed_digest,
            label=deployment.label,
            reason=deployment.reason,
            request=deployment.promotion_id,
            since=deployment.started_at,
            until=deployment.ended_at,
        )

    def hold(self, hold: Hold) -> HoldInfo:
        return HoldInfo(
            id=hold.id,
            kind=hold.kind,
            environment=hold.environment,
            pipeline=None if hold.pipeline_id is None else self.pipeline(hold.pipeline_id),
            reason=hold.reason,
            set_by=self.person(hold.set_by),
            set_at=hold.set_at,
            lifted_at=hold.lifted_at,
        )

    def drift(self, drift: Drift) -> DriftInfo:
        return drift_of(drift, self.pipeline(drift.pipeline_id), self.person)

    def grant(self, grant: Grant) -> GrantInfo:
        teams = {team.id: team.name for team in self._view.people.teams()} if grant.team_id is not None else {}
        return GrantInfo(
            id=grant.id,
            role=grant.role,
            scope=grant.scope,
            scope_value=grant.scope_value,
            team=None if grant.team_id is None else teams[grant.team_id],
        )

    def person_info(self, person: Person) -> PersonInfo:
        return PersonInfo(
            name=person.name,
            kind=person.kind,
            display_name=person.display_name,
            email=person.email,
            email_verified=person.email_verified,
            acts_for=self.person(person.acts_for),
            disabled_at=person.disabled_at,
            teams=self._view.people.team_names(person.id),
            grants=tuple(self.grant(grant) for grant in self._view.people.grants(person.id)),
        )
