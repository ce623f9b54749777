"""Tools that write pipelines: check a definition, save it, compare, and draft one from a bundle or SQL."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator

from pydantic import BaseModel, Field

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.naming import lines, link, pipeline_named
from agent.tools.paging import fit, part, short
from agent.tools.tool import Answer, Effect, Input, Toolset, tool
from lifecycle.bundle import Bundle
from lifecycle.domain.roles import Role
from lifecycle.domain.spec_diff import FieldDiff, SpecDiff, diff_specs
from lifecycle.errors import Invalid
from lifecycle.spec import PipelineSpec, SpecError, dump_yaml, parse_pipeline
from lifecycle.spec.from_sql import draft_from_sql
from lifecycle.spec.reading import read_value
from lifecycle.spec.writing import dump_definition
from lifecycle.usecases.check_definition import Checked
from lifecycle.verbs import pipelines

_MOST = 1_000_000
DEFINITION = Field(max_length=_MOST, description="pipeline file, YAML or JSON")
CODE = Field(default_factory=dict, max_length=500, description="Python files for module:function, text by path")
KEY = Field(None, min_length=8, max_length=200, pattern=r"^[!-~]+$", description="same key, done once")


class Validate(Input):
    """A definition, and its code."""

    definition: str = DEFINITION
    code: dict[str, str] = CODE


class Flaw(BaseModel):
    """What is wrong, where, and what to write instead."""

    line: int | None
    where: str
    message: str
    instead: str | None


class Validated(Answer):
    """`version` is the saved one with this content."""

    valid: bool
    name: str | None
    digest: str | None
    version: int | None
    problems: tuple[Flaw, ...]
    hints: tuple[str, ...]


@tool(Toolset.BUILD, role=Role.DATA_ENGINEER)
def validate(call: ToolCall, given: Validate) -> Validated:
    """Check a pipeline file: every error with its line and what to write instead, and advice. Saves nothing."""
    return _validated(_check(call, given.definition, given.code))


def _check(call: ToolCall, definition: str, code: dict[str, str]) -> Checked:
    return call.lifecycle.ask(pipelines.validate, {"definition": definition, "code": _encoded(code)})


def _validated(found: Checked) -> Validated:
    flaws = [
        Flaw(
            line=one.line,
            where=".".join(part for part in (one.node, one.field) if part) or "pipeline",
            message=short(one.message),
            instead=one.remedy,
        )
        for one in found.problems
    ]
    kept, cut = fit(flaws, 50, lambda one: one.where)
    says = "save_version saves it" if found.valid else "correct the problems and validate again"
    if cut is not None:
        says = f"{len(flaws) - len(kept)} more problems follow; {says}"
    return Validated(
        valid=found.valid,
        name=found.name,
        digest=found.digest,
        version=found.version,
        problems=kept,
        hints=lines(found.hints, most=15),
        next=f"v{found.version} has this content already" if found.version else says,
    )


class SaveVersion(Input):
    """What to save, and on what it builds."""

    definition: str = DEFINITION
    message: str = Field(max_length=2_000, description="what changed, and why")
    code: dict[str, str] = CODE
    on: int | None = Field(None, ge=1, description="version you changed; refused if a newer one exists")
    key: str | None = KEY


class Saved(Answer):
    """The version."""

    pipeline: str
    version: int
    digest: str
    active_in: tuple[str, ...]
    link: str


@tool(Toolset.BUILD, role=Role.DATA_ENGINEER, effect=Effect.ADD, idempotent=True)
def save_version(call: ToolCall, given: SaveVersion) -> Saved:
    """Save a pipeline file as a new version and make it active in development. The same content stays one version."""
    asked = {"definition": given.definition, "message": given.message, "code": _encoded(given.code), "key": given.key}
    try:
        if given.on is None:
            saved = call.lifecycle.ask(pipelines.save, asked)
        else:
            name = parse_pipeline(given.definition).name
            with pipeline_named(call, name):
                base = call.lifecycle.pipelines.version(name, given.on)
            asked |= {"name": name, "on": given.on, "if_newest": base.digest}
            saved = call.lifecycle.ask(pipelines.add_version, asked)
    except (SpecError, Invalid) as error:
        raise ToolError(short(error.message, 2_000), hint="validate names every problem with its line") from None
    return Saved(
        pipeline=saved.pipeline,
        version=saved.number,
        digest=saved.digest,
        active_in=tuple(one.value for one in saved.active_in),
        link=link(call, "pipelines", saved.pipeline, "versions", saved.number),
        next=f"run {saved.pipeline} in development to try it, then plan_promotion to qa",
    )


class Compare(Input):
    """Two versions, or a version and a file."""

    pipeline: str = Field(max_length=63)
    before: int = Field(ge=1)
    after: int | None = Field(None, ge=1)
    definition: str | None = Field(None, max_length=_MOST, description="compare with this file instead of after")
    offset: int = Field(0, ge=0)


class Difference(Answer):
    """As text."""

    same: bool
    text: str
    offset: int | None


@tool(Toolset.BUILD)
def diff(call: ToolCall, given: Compare) -> Difference:
    """Show what changed from one version to another, or to a file."""
    if (given.after is None) == (given.definition is None):
        raise ToolError("diff compares with one thing", hint="give either after or definition")
    with pipeline_named(call, given.pipeline):
        if given.after is not None:
            found = call.lifecycle.pipelines.diff(given.pipeline, given.before, given.after)
        else:
            saved = call.lifecycle.pipelines.version(given.pipeline, given.before)
            found = diff_specs(_unlocked(saved.spec), _unlocked(given.definition or ""))
    shown = part("\n".join(_told(found)), given.offset)
    return Difference(
        same=found.is_empty,
        text=shown.text,
        offset=shown.following,
        next="nothing differs" if found.is_empty else "",
    )


def _unlocked(text: str) -> PipelineSpec:
    """Saving makes the lock, so that of a file and that of a version are not compared."""
    return parse_pipeline(text).model_copy(update={"lock": None})


def _told(found: SpecDiff) -> Iterator[str]:
    for one in found.pipeline:
        yield from _field("pipeline", one)
    for node in found.nodes:
        yield f"node {node.node} {node.change}"
        for one in node.fields:
            yield from _field(f"  {node.node}", one)
    yield from (f"edge added: {one}" for one in found.edges_added)
    yield from (f"edge removed: {one}" for one in found.edges_removed)


def _field(where: str, one: FieldDiff) -> Iterator[str]:
    if one.lines:
        yield f"{where}.{one.field}:"
        yield from one.lines
    else:
        before, after = (json.dumps(value, ensure_ascii=False, default=str) for value in (one.before, one.after))
        yield f"{where}.{one.field}: {before} -> {after}"


class Import(Input):
    """From one of both."""

    sql: str | None = Field(None, max_length=100_000, description="SELECT, CREATE TABLE AS, or INSERT SELECT")
    bundle: str | None = Field(None, max_length=_MOST, description="exported bundle, its JSON")
    name: str = Field("", max_length=63)
    table: str = Field("", max_length=255, description="target of a SELECT, namespace.table")
    offset: int = Field(0, ge=0)


class Draft(Answer):
    """`notes` say what to decide; `offset`: the definition was cut there."""

    definition: str
    code: tuple[str, ...]
    valid: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    offset: int | None


@tool(Toolset.BUILD, role=Role.DATA_ENGINEER)
def import_pipeline(call: ToolCall, given: Import) -> Draft:
    """Draft a pipeline file from SQL or an exported bundle. Saves nothing."""
    if (given.sql is None) == (given.bundle is None):
        raise ToolError("import_pipeline reads one thing", hint="give either sql or bundle")
    if given.sql is not None:
        try:
            made = draft_from_sql(given.sql, name=given.name, table=given.table, catalog=call.settings.catalog.name)
        except SpecError as error:
            raise ToolError(short(str(error), 500)) from None
        text, notes, code = _written(dump_definition(made.definition)), made.notes, dict[str, str]()
    else:
        text, code = _of_bundle(given.bundle or "", given.name)
        notes = ("the signature was not checked: drls pipeline import does, and keeps where it came from",)
        if code:
            notes += ("give the files of code to save_version, or save the bundle with drls pipeline import",)
    found = _check(call, text, code)
    shown = part(text, given.offset, room=12_000)
    return Draft(
        definition=shown.text,
        code=lines(code),
        valid=found.valid,
        problems=lines(found.problems, most=15),
        notes=lines(notes, most=15),
        offset=shown.following,
        next="decide the notes, then validate and save_version"
        if found.valid
        else "correct the problems, then validate",
    )


def _written(text: str) -> str:
    """Without what is default anyway, where it can be read."""
    try:
        return dump_yaml(parse_pipeline(text))
    except SpecError:
        return text


def _of_bundle(text: str, name: str) -> tuple[str, dict[str, str]]:
    """The definition, and the names and texts of its code. Nothing of it is believed: it is only text to edit."""
    try:
        envelope = read_value(text)
        bundle = Bundle.model_validate_json(base64.b64decode(envelope["payload"], validate=True))
        spec = parse_pipeline(bundle.version.spec)
        code = {path: content.decode() for path, content in bundle.files().items()}
    except (ValueError, TypeError, KeyError, binascii.Error, Invalid) as error:
        raise ToolError(
            "this is not an exported bundle", hint="give the whole file that drls pipeline export wrote"
        ) from error
    return dump_yaml(spec.model_copy(update={"lock": None, **({"name": name} if name else {})})), code


def _encoded(code: dict[str, str]) -> dict[str, str] | None:
    return {path: base64.b64encode(text.encode()).decode() for path, text in code.items()} or None
