"""The addresses of the pages, in one place."""

from __future__ import annotations

from urllib.parse import quote

from lifecycle.domain.environment import Environment


def pipeline(name: str) -> str:
    return f"/pipelines/{quote(name, safe='')}"


def version(name: str, number: int) -> str:
    return f"{pipeline(name)}/versions/{number}"


def compare(name: str, before: int, after: int) -> str:
    return f"{pipeline(name)}/compare/{before}/{after}"


def promote(name: str, number: int, target: str) -> str:
    return f"{version(name, number)}/promote/{target}"


def demote(name: str, number: int) -> str:
    return f"{version(name, number)}/demote"


def retire(name: str, number: int) -> str:
    return f"{version(name, number)}/retire"


def break_glass(name: str, number: int) -> str:
    return f"{version(name, number)}/break-glass"


def rollback(name: str) -> str:
    return f"{pipeline(name)}/rollback"


def requests(pipeline: str, target: str) -> str:
    """The requests of a pipeline into one environment."""
    return f"/approvals?pipeline={quote(pipeline, safe='')}&target={target}"


def request(promotion_id: int) -> str:
    return f"/approvals/{promotion_id}"


def request_data(promotion_id: int, table: str) -> str:
    """The data diff of one table: a part of the request's page."""
    return f"{request(promotion_id)}/data/{quote(table, safe='')}"


def environment(name: str) -> str:
    return f"/environments/{name}"


def environments() -> str:
    return "/environments"


def hold(environment: Environment, kind: str, name: str = "") -> str:
    """The page that sets a freeze or a stop; `name`: of this pipeline alone."""
    return f"/environments/{environment}/{kind}" + (f"?pipeline={quote(name, safe='')}" if name else "")


def lift(hold_id: int) -> str:
    return f"/holds/{hold_id}/lift"


def evidence_session(environment: Environment, name: str) -> str:
    return f"/environments/{environment}/session/{quote(name, safe='')}"


def drift(drift_id: int) -> str:
    return f"/drifts/{drift_id}"


def run(dagster: str, run_id: str) -> str:
    """A run's page in Dagster's UI, which lives under the path `dagster`."""
    return f"{dagster}/runs/{quote(run_id, safe='')}"


def export(name: str, number: int) -> str:
    return f"/api/pipeline-defs/{quote(name, safe='')}/versions/{number}/export"


def profile() -> str:
    return "/profile"


def audit() -> str:
    return "/audit"


def audit_of(subject: str) -> str:
    """The audit log of one subject, for example promotion:3."""
    return f"/audit?subject={quote(subject, safe='')}"


def settings() -> str:
    return "/settings"


def people() -> str:
    return "/settings/people"


def person(name: str) -> str:
    return f"/settings/people/{quote(name, safe='')}"


def team(name: str) -> str:
    return f"/settings/teams/{quote(name, safe='')}"


def notifications() -> str:
    return "/settings/notifications"


def policies() -> str:
    return "/settings/policies"


def policy(environment: Environment, pipeline: str | None = None, page: str = "") -> str:
    """The policy of an environment, or of one pipeline in it; `page`: /edit, /delete or nothing."""
    query = f"?pipeline={quote(pipeline, safe='')}" if pipeline else ""
    return f"/settings/policies/{environment}{page}{query}"


def clone(name: str, number: int) -> str:
    return f"{version(name, number)}/clone"


def definition(name: str, number: int) -> str:
    return f"{version(name, number)}/definition.yaml"


def upload(name: str) -> str:
    return f"{pipeline(name)}/versions"


def delete(name: str) -> str:
    return f"{pipeline(name)}/delete"
