"""What the audit log keeps of a change through Dagster: what it was about, never what a value was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from drls_dagster.dagster_private.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

# Names whose values say what a change was about. Of any other only the name is kept.
_SAID = frozenset(
    {
        *("pipelineName", "jobName", "repositoryLocationName", "locationName", "solidSelection", "stepKeys", "stepKey"),
        *("runId", "runIds", "parentRunId", "rootRunId", "strategy", "terminatePolicy", "useParentRunTags"),
        *("backfillId", "partitionSetName", "partitionNames", "partitionKeys", "partitionKey", "partitionsDefName"),
        *("allPartitions", "fromFailure", "reexecutionSteps", "start", "end", "wipeMaterializations"),
        *("sensorName", "scheduleName", "id", "jobOriginId", "jobSelectorId", "scheduleOriginId"),
        *("scheduleSelectorId", "timestamp", "paused", "concurrencyKey", "limit", "componentId", "defsStateKey"),
        *("eventType", "checkName", "passed", "severity", "name", "action"),
    }
)
_PARTITION_TAGS = (PARTITION_NAME_TAG, ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
_MOST, _LONGEST = 20, 200


def audited_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a mutation, flattened, as far as the audit log keeps them."""
    found: dict[str, Any] = {}
    for name, value in _leaves(arguments):
        if name in found and found[name] != value:
            before = found[name] if isinstance(found[name], list) else [found[name]]
            added = value if isinstance(value, list) else [value]
            found[name] = [*before, *(one for one in added if one not in before)][:_MOST]
        else:
            found[name] = value
    return found


def _leaves(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if value is None:
            continue
        if name in ("assetKey", "assetSelection"):
            keys = [value] if isinstance(value, Mapping) else value
            yield "assets", [_short("/".join(map(str, one["path"]))) for one in keys][:_MOST]
        elif name in ("tags", "extraTags"):
            yield from _tags(value)
        elif name == "runConfigData":
            yield "runConfig", _config_keys(value)
        elif isinstance(value, Mapping):
            yield from _leaves(value)
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for one in value[:_MOST]:
                if isinstance(one, Mapping):
                    yield from _leaves(one)
        elif name in _SAID:
            yield name, [_plain(one) for one in value][:_MOST] if isinstance(value, list) else _plain(value)
        else:
            yield "given", [name]


def _tags(tags: list[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for tag in tags[:_MOST]:
        if tag.get("key") in _PARTITION_TAGS:
            yield "partition", _short(str(tag.get("value")))
    yield "tags", [_short(str(tag.get("key"))) for tag in tags][:_MOST]


def _config_keys(config: Any) -> list[str]:
    """Where run configuration says something; a person may have written it as YAML."""
    if isinstance(config, str):
        try:
            config = yaml.safe_load(config)
        except (yaml.YAMLError, RecursionError):
            return ["(unreadable)"]
    return [_short(path) for path in _paths(config)][:_MOST]


def _paths(config: Any, before: str = "", depth: int = 0) -> Iterator[str]:
    if isinstance(config, Mapping) and config and depth < 5:
        for key, value in config.items():
            yield from _paths(value, f"{before}.{key}" if before else str(key), depth + 1)
    elif before:
        yield before


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else _short(str(getattr(value, "value", value)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
