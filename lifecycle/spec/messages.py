"""Pydantic's errors in plain words, with the node, the field and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lifecycle.spec import checks, clock, partitions, pipeline, sinks, sources, steps
from lifecycle.spec.errors import FieldError, Problem, did_you_mean, shorten
from lifecycle.spec.parameters import Parameter

MAX_PROBLEMS = 50

_SLUG = "use lower-case letters, digits and '_', starting with a letter"
_PATTERNS = {
    r"^[a-z][a-z0-9_]*$": _SLUG,
    r"^[a-z][a-z0-9_-]*$": "use lower-case letters, digits, '-' and '_'",
    r"^[1-9][0-9]{0,5}[mg]$": "write a number and m or g: 512m, 2g",
    r"^[A-Za-z0-9._-]+$": "use letters, digits, '.', '_' and '-'",
}
_BY_FIELD = {
    "table": "write namespace.table, of letters, digits and '_'",
    "entrypoint": "write module:function, for example my_package.scoring:score",
    "image": "write registry/name@sha256:…, or registry/name:tag",
    "column": "use letters, digits and '_'; '.' for a field of a struct",
}
_EXPECTED = {
    "string_type": ("text", "put it in quotes"),
    "int_type": ("a whole number", "write it without quotes"),
    "float_type": ("a number", "write it without quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "tuple_type": ("a list", "write [a, b] or one '- item' per line"),
    "dict_type": ("a mapping", "write key: value"),
    "model_type": ("a mapping", "write key: value"),
    "model_attributes_type": ("a mapping", "write key: value"),
    "finite_number": ("a finite number", "write a number"),
}
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "less_than": ("less than", "lt"),
}
_MODELS: dict[str, type[BaseModel]] = {
    "schedule": clock.Schedule,
    "run": pipeline.RunResources,
    "retries": pipeline.Retries,
    "resources": steps.RayResources,
    "trigger": steps.Trigger,
    "watermark": steps.Watermark,
    "registry": sources.RegisteredSchema,
    "lock": pipeline.Lock,
    "edges": pipeline.Edge,
    "parameters": Parameter,
    "sort_by": sinks.SortField,
    "partition_by": sinks.PartitionField,
}
_KINDS: dict[tuple[str, str], type[BaseModel]] = {
    ("nodes", "source"): sources.SourceNode,
    ("nodes", "sink"): sinks.SinkNode,
    ("nodes", "monitor"): checks.MonitorNode,
    **{("nodes", m.model_fields["step"].default): m for m in get_args(get_args(steps.AnyTransform)[0])},
    **{("source", m.model_fields["kind"].default): m for m in get_args(get_args(sources.AnySource)[0])},
    **{("checks", m.model_fields["kind"].default): m for m in get_args(get_args(checks.AnyCheck)[0])},
    ("partitions", "static"): partitions.StaticPartitions,
    **{("partitions", kind): partitions.TimePartitions for kind in ("hourly", "daily", "weekly", "monthly")},
}


def problems_of(error: ValidationError, data: dict[str, Any]) -> tuple[Problem, ...]:
    """One problem per error, at most MAX_PROBLEMS of them and then how many more there are."""
    details = error.errors(include_url=False)
    # A list whose items are wrong is also reported as too short: that says nothing new.
    short = {detail["loc"] for detail in details if detail["type"] == "too_short"}
    above = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    details = [detail for detail in details if detail["loc"] not in short & above]
    problems = list(dict.fromkeys(_problem(detail, data) for detail in details[:MAX_PROBLEMS]))
    if len(details) > MAX_PROBLEMS:
        more = len(details) - MAX_PROBLEMS
        problems.append(Problem(None, None, f"there are {more} more problems", "correct these first"))
    return tuple(problems)


def _problem(detail: ErrorDetails, data: dict[str, Any]) -> Problem:
    path, kinds = _place(detail["loc"], data)
    node: str | None = None
    if path[:1] == ["nodes"] and len(path) > 1:
        item = data["nodes"][path[1]]
        identity = cast("Mapping[str, Any]", item).get("id") if isinstance(item, Mapping) else None
        if isinstance(identity, str) and path[2:] != ["id"]:
            node = shorten(identity)
    field = "".join(
        f"[{part}]" if isinstance(part, int) else f".{shorten(part)}" for part in (path[2:] if node else path)
    )
    message, remedy = _words(detail, path, kinds)
    return Problem(node, field.lstrip(".") or None, message, remedy)


def _place(loc: Sequence[str | int], data: dict[str, Any]) -> tuple[list[str | int], list[str]]:
    """The path as the file has it, and the kinds that the mapping says in which its last part is.

    Pydantic puts the kinds of node, step, source and check that it chose into its path: they go.
    """
    path: list[str | int] = []
    value: Any = data
    kinds: list[str] = []
    outer: list[str] = []
    for at, part in enumerate(loc):
        if isinstance(part, str) and part in kinds:
            del kinds[: kinds.index(part) + 1]
            continue
        if part == "[key]" or not _holds(value, part, last=at == len(loc) - 1):
            continue
        path.append(part)
        outer = _kinds(value)
        value = cast("dict[Any, Any]", value).get(part) if isinstance(value, dict) else value[part]
        kinds = _kinds(value)
    return path, outer


def _holds(value: Any, part: str | int, *, last: bool) -> bool:
    """Whether a part of pydantic's path is in the file; the last one may be what is missing there."""
    if isinstance(value, dict):
        return last or part in cast("dict[Any, Any]", value)
    return isinstance(value, list) and isinstance(part, int)


def _kinds(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return []
    mapping = cast("Mapping[Any, Any]", value)
    return [mapping[name] for name in ("type", "step", "kind") if isinstance(mapping.get(name), str)]


def _words(detail: ErrorDetails, path: list[str | int], kinds: list[str]) -> tuple[str, str | None]:
    context: dict[str, Any] = detail.get("ctx") or {}
    error = context.get("error")
    if isinstance(error, FieldError):
        return error.message, error.remedy
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    match detail["type"]:
        case "missing":
            return "it is missing", f"add {name}"
        case "extra_forbidden":
            known = _fields(path, kinds)
            return "there is no such field", did_you_mean(name, known) or f"use {_listed(known)}"
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
            if detail["input"] in allowed:
                return f"'{detail['input']}' is text here", f"write {detail['input']}, without quotes"
            return _unknown("it", detail["input"], allowed)
        case "union_tag_invalid":
            allowed = re.findall(r"'([^']*)'", context["expected_tags"])
            return _unknown(context["discriminator"].strip("'"), context["tag"], allowed)
        case "union_tag_not_found":
            field = context["discriminator"].strip("'")
            return f"it has no {field}", f"add {field}"
        case kind:
            return _value(kind, context, detail["input"], name)


def _unknown(field: str, given: object, allowed: Sequence[str]) -> tuple[str, str]:
    subject = f"the {field}" if field != "it" else ""
    message = f"{subject} '{shorten(given)}' is not known".lstrip()
    return message, did_you_mean(str(given)[:100], allowed) or f"use {_listed(allowed)}"


def _listed(words: Sequence[str]) -> str:
    return f"one of {', '.join(words)}" if len(words) > 1 else "".join(words)


def _value(kind: str, context: dict[str, Any], given: object, name: str) -> tuple[str, str | None]:
    if kind in _EXPECTED:
        wanted, remedy = _EXPECTED[kind]
        return f"'{shorten(given)}' is not {wanted}", remedy
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"{shorten(given)} is out of range", f"write {words} {context[key]}"
    if kind == "string_pattern_mismatch":
        return f"'{shorten(given)}' is not allowed here", _BY_FIELD.get(name) or _PATTERNS.get(
            context["pattern"], _SLUG
        )
    if kind in {"too_short", "string_too_short"}:
        return "it is empty", "give it a value, or remove it"
    if kind in {"too_long", "string_too_long"}:
        return "it is too long", f"use at most {context['max_length']}"
    return f"'{shorten(given)}' cannot be used here", None


def _fields(path: list[str | int], kinds: list[str]) -> list[str]:
    """The fields of the model that an unknown field was found in."""
    where = [part for part in path[:-1] if isinstance(part, str)]
    model: type[BaseModel] | None = pipeline.PipelineSpec
    if where:
        container = "parameters" if where[0] == "parameters" else where[-1]
        found = [_KINDS[container, kind] for kind in kinds if (container, kind) in _KINDS]
        model = found[-1] if found else _MODELS.get(container)
    fields = model.model_fields.items() if model else ()
    return [field.serialization_alias or name for name, field in fields]
