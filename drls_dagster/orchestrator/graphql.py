"""What is asked of the `drls up` of this home over HTTP: reload a location, launch a run."""

from __future__ import annotations

from typing import Any

from drls_dagster.orchestrator.running_up import UpState
from drls_dagster.tags import REASON_TAG
from drls_dagster.traces.place import headers_here
from lifecycle.domain.environment import Environment
from lifecycle.errors import Refused, Unavailable

RELOAD_SECONDS = 2.0
LAUNCH_SECONDS = 60.0

_PARTITIONS = """
query LastPartition($selector: PipelineSelector!) {
  pipelineOrError(params: $selector) {
    __typename
    ... on Pipeline {
      isAssetJob
      partitionKeysOrError(limit: 1, reverse: true) { partitionKeys }
    }
    ... on Error { message }
  }
}
"""
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


def ask_reload(up: UpState, environment: Environment) -> bool:
    """Asks for a reload, which then happens automatically; whether the request was taken.

    Not Dagster's own mutation: that answers only after the reload, and reloads twice when asked twice.
    """
    import httpx

    try:
        answer = httpx.post(
            f"{up.url}/push/reload/{environment.value}", headers=_token(up), timeout=RELOAD_SECONDS, trust_env=False
        )
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.ACCEPTED


def launch_run(up: UpState, environment: Environment, pipeline: str, reason: str) -> str:
    """Launches the pipeline's job, of a partitioned one the last partition; the id of the run.

    Raises Refused with Dagster's or the gate's reason, Unavailable when there is no answer.
    """
    from drls_dagster.dagster_private.tags import PARTITION_NAME_TAG

    where = f"{pipeline} in {environment.label}"
    selector = {
        "repositoryLocationName": environment.value,
        "repositoryName": "__repository__",
        "pipelineName": pipeline,
    }
    found = _ask(up, where, _PARTITIONS, {"selector": selector})["pipelineOrError"]
    if found["__typename"] != "Pipeline":
        raise Refused(f"a run of {where} cannot be launched: {found.get('message', found['__typename'])}")
    tags = [{"key": REASON_TAG, "value": reason}]
    tags += [{"key": PARTITION_NAME_TAG, "value": key} for key in _last_partition(found)]
    params = {
        "selector": {**{k: v for k, v in selector.items() if k != "pipelineName"}, "jobName": pipeline},
        "mode": "default",
        "runConfigData": {},
        "executionMetadata": {"tags": tags},
    }
    launched = _ask(up, where, _LAUNCH, {"params": params})["launchPipelineExecution"]
    if launched["__typename"] != "LaunchRunSuccess":
        told = launched.get("message") or "; ".join(one["message"] for one in launched.get("errors", ()))
        raise Refused(f"a run of {where} was refused: {told or launched['__typename']}")
    return launched["run"]["runId"]


def _last_partition(job: dict[str, Any]) -> list[str]:
    keys: list[str] = (job.get("partitionKeysOrError") or {}).get("partitionKeys") or []
    return keys[:1]


def _ask(up: UpState, where: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    import httpx

    try:
        answer = httpx.post(
            f"{up.url}/dagster/graphql",
            json={"query": query, "variables": variables},
            headers=_token(up) | headers_here(),
            timeout=LAUNCH_SECONDS,
            trust_env=False,
        )
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(
            f"drls up at {up.url} did not answer the request about {where} ({type(error).__name__}); try again"
        ) from error
    # A refusal by the run coordinator comes as an error next to the data, or as a body of its own.
    if errors := body.get("errors"):
        raise Refused(f"a run of {where} was refused: {_one_line(errors[0].get('message', ''))}")
    if body.get("data") is None:
        raise Refused(f"a run of {where} was refused: {_one_line(body.get('message') or body.get('detail') or '')}")
    return body["data"]


def _one_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "Dagster gave no reason; see DRLS_HOME/logs"


def _token(up: UpState) -> dict[str, str]:
    return {"Authorization": f"Bearer {up.token}"}
