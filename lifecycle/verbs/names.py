"""From what the store keeps to what verbs return: ids get names, here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import overload

from lifecycle.domain.environment import Environment, stage_of
from lifecycle.domain.people import Grant, Person, Team
from lifecycle.domain.policy import Hold, PolicyRevision
from lifecycle.domain.promotion import Comment, Promotion, Said
from lifecycle.domain.releases import TableThen
from lifecycle.domain.run import Drift, Session
from lifecycle.domain.version import Deployment, Pipeline, Version
from lifecycle.store.unit import View
from lifecycle.usecases.accounts import shown
from lifecycle.usecases.releases_then import approvers_of
from lifecycle.verbs import answers


class Names:
    """Looks names up in one picture of the store, each once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._pipelines: dict[int, str] = {}
        self._versions: dict[int, int] = {}

    @overload
    def person(self, person_id: int) -> str: ...
    @overload
    def person(self, person_id: int | None) -> str | None: ...
    def person(self, person_id: int | None) -> str | None:
        return None if person_id is None else self._people[person_id]

    @overload
    def pipeline(self, pipeline_id: int) -> str: ...
    @overload
    def pipeline(self, pipeline_id: int | None) -> str | None: ...
    def pipeline(self, pipeline_id: int | None) -> str | None:
        if pipeline_id is None:
            return None
        if pipeline_id not in self._pipelines:
            self._pipelines[pipeline_id] = self._view.pipelines.get(pipeline_id).name
        return self._pipelines[pipeline_id]

    def versions(self, pipeline: Pipeline, versions: Sequence[Version]) -> list[answers.VersionInfo]:
        """Versions of one pipeline, each with its stage."""
        history = self._view.deployments.history(pipeline.id)
        found: list[answers.VersionInfo] = []
        for version in versions:
            own = [one for one in history if one.version_id == version.id]
            active = [one.environment for one in own if one.ended_at is None]
            last = [one for one in own if one.environment is Environment.PRODUCTION][-1:]
            retired = any((one.ended_reason or "").startswith("retired") for one in last)
            found.append(
                answers.VersionInfo(
                    pipeline=pipeline.name,
                    number=version.number,
                    digest=version.digest,
                    stage=stage_of(frozenset(active), retired=retired),
                    active_in=tuple(sorted(active, key=lambda environment: environment.rank)),
                    message=version.message,
                    author=self.person(version.author) or "",
                    created_at=version.created_at,
                )
            )
        return found

    def version(self, version: Version) -> answers.VersionDetail:
        import json

        (head,) = self.versions(self._view.pipelines.get(version.pipeline_id), [version])
        return answers.VersionDetail(**dict(head), definition=json.loads(version.spec), origin=version.origin)

    def request(self, promotion: Promotion) -> answers.RequestRecord:
        if type(promotion) is not Promotion:  # one that was decided just now says more
            return self._request(promotion)
        return self._view.once(("request", promotion.id), lambda: self._request(promotion))

    def _request(self, promotion: Promotion) -> answers.RequestRecord:
        return answers.RequestRecord(
            **dict(promotion),
            kind=promotion.plan.kind,
            pipeline=promotion.plan.pipeline,
            version=promotion.plan.version,
            requested_by_name=self.person(promotion.requested_by),
            acted_for_name=self.person(promotion.acted_for),
        )

    def said(self, decision: Said) -> answers.SaidRecord:
        return answers.SaidRecord(**dict(decision), person_name=self.person(decision.person))

    def comment(self, comment: Comment) -> answers.CommentRecord:
        return answers.CommentRecord(**dict(comment), person_name=self.person(comment.person))

    def deployment(self, deployment: Deployment) -> answers.DeploymentRecord:
        return answers.DeploymentRecord(
            **dict(deployment),
            pipeline=self.pipeline(deployment.pipeline_id),
            version=self._version(deployment.version_id),
        )

    def running(self, one: Deployment, tables: Sequence[TableThen]) -> answers.Running:
        return answers.Running(
            environment=one.environment,
            pipeline=self.pipeline(one.pipeline_id),
            version=self._version(one.version_id),
            digest=one.deployed_digest,
            label=one.label,
            reason=one.reason,
            request=one.promotion_id,
            since=one.started_at,
            until=one.ended_at,
            approved_by=approvers_of(self._view, one),
            tables=tuple(tables),
            promotion=one.promotion_id,
            deployment=one,
        )

    def hold(self, hold: Hold) -> answers.HoldRecord:
        return answers.HoldRecord(
            **dict(hold), pipeline=self.pipeline(hold.pipeline_id), set_by_name=self.person(hold.set_by)
        )

    def session(self, session: Session) -> answers.SessionRecord:
        return answers.SessionRecord(**dict(session), pipeline=self.pipeline(session.pipeline_id))

    def drift(self, drift: Drift) -> answers.DriftView:
        record = answers.DriftRecord(**dict(drift), closed_by_name=self.person(drift.closed_by))
        return answers.DriftView(drift=record, pipeline=self.pipeline(drift.pipeline_id))

    def policy(self, revision: PolicyRevision) -> answers.PolicyRecord:
        return answers.PolicyRecord(
            **dict(revision),
            pipeline=self.pipeline(revision.pipeline_id),
            set_by_name=self.person(revision.set_by),
        )

    def grant(self, grant: Grant) -> answers.GrantRecord:
        team = None if grant.team_id is None else self._teams[grant.team_id]
        return answers.GrantRecord(**dict(grant), person=self.person(grant.person_id), team=team)

    def account(self, person: Person, *, grants: bool) -> answers.PersonRecord:
        """`grants`: whether the caller may see them."""
        own = self._member_of.get(person.id, {})
        held = (one for one in self._grants if one.person_id == person.id or one.team_id in own)
        return answers.PersonRecord(
            **dict(shown(person)),
            acts_for_name=self.person(person.acts_for),
            teams=tuple(own.values()),
            grants=tuple(self.grants(held)) if grants else None,
        )

    def team(self, team: Team, *, grants: bool) -> answers.TeamRecord:
        """`grants`: whether the caller may see them."""
        held = (one for one in self._grants if one.team_id == team.id)
        members = sorted(self._people[person] for person, teams in self._member_of.items() if team.id in teams)
        return answers.TeamRecord(
            **dict(team), members=tuple(members), grants=tuple(self.grants(held)) if grants else None
        )

    def grants(self, grants: Iterable[Grant]) -> list[answers.GrantRecord]:
        return [self.grant(one) for one in grants]

    @cached_property
    def _people(self) -> dict[int, str]:
        return {person.id: person.name for person in self._view.people.all()}

    @cached_property
    def _teams(self) -> dict[int, str]:
        return {team.id: team.name for team in self._view.people.teams()}

    @cached_property
    def _grants(self) -> tuple[Grant, ...]:
        return self._view.people.all_grants()

    @cached_property
    def _member_of(self) -> dict[int, dict[int, str]]:
        found: dict[int, dict[int, str]] = {}
        for person, team, name in self._view.people.memberships():
            found.setdefault(person, {})[team] = name
        return found

    def _version(self, version_id: int) -> int:
        if version_id not in self._versions:
            self._versions[version_id] = self._view.pipelines.version(version_id).number
        return self._versions[version_id]
