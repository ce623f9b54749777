"""Definitions and their versions."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Annotated, Any

from annotated_types import MaxLen
from pydantic import StringConstraints

from lifecycle.domain.spec_diff import SpecDiff, diff_specs
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, Invalid, NotFound
from lifecycle.spec import PipelineSpec, parse_pipeline
from lifecycle.spec.closure import MAX_CODE_BYTES, MAX_CODE_FILES
from lifecycle.usecases.check_definition import Checked, check_definition
from lifecycle.usecases.clone_pipeline import clone_pipeline
from lifecycle.usecases.delete_pipeline import delete_pipeline
from lifecycle.usecases.export_version import export_version
from lifecycle.usecases.import_version import import_version
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.parts.version_code import code_texts
from lifecycle.usecases.parts.visible import visible_ids, visible_pipeline
from lifecycle.usecases.save_version import save_version
from lifecycle.verbs import inputs
from lifecycle.verbs.answers import Page, PipelineInfo, VersionDetail, VersionInfo
from lifecycle.verbs.inputs import Cursor, IfDigest, InQuery, Key, Limit, Name, Number, WholeBody
from lifecycle.verbs.verb import Call, answers, lists

# The pipeline file: as YAML or JSON text, or as a JSON object.
Definition = dict[str, Any] | Annotated[str, StringConstraints(max_length=2_000_000)]
# The files of the local code that it imports, in base64 by path; without it, code is looked for on the server.
Code = Annotated[dict[str, str], MaxLen(MAX_CODE_FILES)] | None
Trust = Annotated[tuple[inputs.PublicKey, ...], MaxLen(20), InQuery("trust")]


@lists(PipelineInfo)
def list_pipelines(call: Call, *, after: inputs.ShortText = "", limit: Limit = 100) -> Page[PipelineInfo]:
    """Pipelines by name that the caller may see."""
    with call.read() as (view, _):
        every = view.pipelines.summaries(after, limit)
        only = visible_ids(view, call.who)
        seen = [
            PipelineInfo(name=one.name, newest=one.newest, active=one.active)
            for one in every
            if only is None or one.id in only
        ]
    return Page(items=seen, next=every[-1].name if len(every) == limit else None)


@answers(VersionInfo)
def save(
    call: Call,
    definition: Definition,
    *,
    message: inputs.Text = "",
    on: Number | None = None,
    code: Code = None,
    key: Key = None,
) -> VersionDetail:
    """Saves a definition under the name in it."""
    return _save(call, _spec(definition), message=message, on=on, code=code, key=key)


@answers(VersionInfo)
def save_over(
    call: Call,
    name: Name,
    definition: Definition,
    *,
    message: inputs.Text = "",
    on: Number | None = None,
    code: Code = None,
    if_newest: IfDigest = None,
    key: Key = None,
) -> VersionDetail:
    """Saves a new version when If-Match is the ETag of the newest (L16)."""
    if if_newest is None:
        raise Conflict("send If-Match with the ETag of the version that you changed")
    spec = _spec(definition, name)
    return _save(call, spec, message=message, on=on, code=code, if_newest=if_newest, key=key)


@answers(VersionInfo)
def add_version(
    call: Call,
    name: Name,
    definition: Definition,
    *,
    message: inputs.Text = "",
    on: Number | None = None,
    code: Code = None,
    if_newest: IfDigest = None,
    key: Key = None,
) -> VersionDetail:
    """Saves a new version; with If-Match only on top of that one."""
    spec = _spec(definition, name)
    return _save(call, spec, message=message, on=on, code=code, if_newest=if_newest, key=key)


@answers(Checked)
def validate(call: Call, definition: Definition, *, code: Code = None) -> Checked:
    """Everything that saving this would refuse, with its line, and advice; saves nothing."""
    is_text = isinstance(definition, str)
    text = definition if is_text else json.dumps(definition)
    return check_definition(call.ctx, call.who, text, code=_files(code), lines=is_text)


@answers(VersionInfo)
def import_bundle(
    call: Call, data: Annotated[bytes, WholeBody()], *, trusted: Trust = (), key: Key = None
) -> VersionDetail:
    """Saves the definition in a bundle (the request's body) that this installation or a key in `trusted` signed.

    Whom to trust is the importer's word: it decides nothing here, and makes the importer responsible like an author.
    """
    version = import_version(call.ctx, call.who, data, trusted=trusted, key=key)
    return call.named(lambda names: names.version(version))


@answers(VersionDetail)
def newest(call: Call, name: Name) -> VersionDetail:
    """The newest version; the ETag is its digest."""
    with call.read() as (view, names):
        version = view.pipelines.newest(visible_pipeline(view, call.who, name).id)
        if version is None:
            raise NotFound(f"{name} has no version")
        return names.version(version)


@answers(Pipeline)
def delete(call: Call, name: Name, *, key: Key = None) -> Pipeline:
    """Writes a tombstone; the name stays reserved (L16)."""
    return delete_pipeline(call.ctx, call.who, name, key=key)


@lists(VersionInfo)
def versions(call: Call, name: Name, *, before: Cursor = None, limit: Limit = 100) -> Page[VersionInfo]:
    """Versions, newest first."""
    with call.read() as (view, names):
        pipeline = visible_pipeline(view, call.who, name)
        found = view.pipelines.versions(pipeline.id, before, limit)
        heads = names.versions(pipeline, found)
    return Page(items=heads, next=str(found[-1].number) if len(found) == limit else None)


@answers(VersionDetail)
def version(call: Call, name: Name, number: Number) -> VersionDetail:
    """One version; it never changes, its stage does."""
    with call.read() as (view, names):
        return names.version(view.pipelines.numbered(visible_pipeline(view, call.who, name), number))


@answers(VersionInfo)
def clone(call: Call, name: Name, number: Number, *, to: Name | None = None, key: Key = None) -> VersionDetail:
    """Saves the version again, as the newest or under another name."""
    cloned = clone_pipeline(call.ctx, call.who, name, number, to=to, key=key)
    return call.named(lambda names: names.version(cloned))


@answers(bytes)
def export(call: Call, name: Name, number: Number) -> bytes:
    """The signed bundle, as a file."""
    return export_version(call.ctx, call.who, name, number)


@answers(SpecDiff)
def diff(call: Call, name: Name, number: Number, other: Number) -> SpecDiff:
    """What changed from `number` to `other`."""
    with call.read() as (view, _):
        pipeline = visible_pipeline(view, call.who, name)
        before, after = (spec_of(view.pipelines.numbered(pipeline, one)) for one in (number, other))
        code = code_texts(view, before), code_texts(view, after)
    return diff_specs(before, after, code)


def _spec(definition: dict[str, Any] | str, name: str | None = None) -> PipelineSpec:
    spec = parse_pipeline(definition if isinstance(definition, str) else json.dumps(definition))
    if name is not None and spec.name != name:
        raise Invalid(f"the definition is named {spec.name}, but the address says {name}; they must match")
    return spec


def _save(call: Call, spec: PipelineSpec, *, code: dict[str, str] | None, **how: Any) -> VersionDetail:
    saved = save_version(call.ctx, call.who, spec, code=_files(code), **how)
    return call.named(lambda names: names.version(saved))


def _files(code: dict[str, str] | None) -> dict[str, bytes] | None:
    """The code's files. Raises Invalid for what is not base64, or larger than what is kept."""
    if code is None:
        return None
    if sum(map(len, code.values())) > MAX_CODE_BYTES * 3 // 2:
        raise Invalid(f"the pipeline's code is larger than {MAX_CODE_BYTES:,} bytes; keep data out of it")
    try:
        return {path: b64decode(text, validate=True) for path, text in code.items()}
    except ValueError:
        raise Invalid("the pipeline's code is not base64") from None
