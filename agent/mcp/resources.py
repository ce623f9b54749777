"""What clients can attach to a conversation: specs of pipelines, documentation, and what reading tools answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote

import mcp_types as types
from mcp.shared.exceptions import MCPError

from agent.tools.call import ToolCall
from agent.tools.dispatch import find_tool, invoke
from agent.tools.paging import part
from agent.tools.registry import tools_for

JSON, TEXT, MARKDOWN = "application/json", "text/plain", "text/markdown"
NOT_FOUND = -32002  # as MCP has it
_SCHEME = "drls://"


@dataclass(frozen=True)
class Kind:
    """Resources of one kind: `template` is their URI, with {names} in it.

    `read` gets the values of the names. `every` lists those that there are; without it, clients find them by name.
    """

    name: str
    title: str
    about: str
    template: str
    mime: str
    read: Callable[[ToolCall, Mapping[str, str]], str | bytes]
    every: Callable[[ToolCall], Sequence[str]] | None = None
    shown: Callable[[ToolCall], bool] = lambda _: True

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.template)))

    def values(self, uri: str) -> Mapping[str, str] | None:
        """The names' values in `uri`; None for one of another kind."""
        found = self._pattern.fullmatch(uri)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}

    @property
    def has_names(self) -> bool:
        return "{" in self.template


def listed(call: ToolCall) -> Sequence[types.Resource]:
    """Those that there are, of every kind that lists them."""
    return [
        types.Resource(
            name=uri.removeprefix(_SCHEME),
            title=f"{kind.title}: {unquote(uri.rpartition('/')[2])}" if kind.has_names else kind.title,
            uri=uri,
            description=kind.about,
            mime_type=kind.mime,
        )
        for kind in _shown(call)
        if kind.every is not None
        for uri in kind.every(call)
    ]


def templates(call: ToolCall) -> Sequence[types.ResourceTemplate]:
    return [
        types.ResourceTemplate(
            name=kind.name, title=kind.title, uri_template=kind.template, description=kind.about, mime_type=kind.mime
        )
        for kind in _shown(call)
        if kind.has_names
    ]


def read(call: ToolCall, uri: str) -> types.TextResourceContents | types.BlobResourceContents:
    """Raises MCPError for what does not exist, DrlsError for what the person may not see."""
    for kind in _shown(call):
        values = kind.values(uri)
        if values is None:
            continue
        found = kind.read(call, values)
        if isinstance(found, bytes):
            return types.BlobResourceContents(uri=uri, mime_type=kind.mime, blob=_base64(found))
        return types.TextResourceContents(uri=uri, mime_type=kind.mime, text=found)
    raise MCPError(code=NOT_FOUND, message=f"there is no resource {uri}", data={"uri": uri})


def _shown(call: ToolCall) -> Sequence[Kind]:
    return [one for one in KINDS if one.shown(call)]


def _base64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()


def _pipelines(call: ToolCall) -> Sequence[str]:
    return [f"{_SCHEME}pipelines/{quote(one.name)}" for one in call.lifecycle.pipelines.list()]


def _pipeline(call: ToolCall, given: Mapping[str, str]) -> str:
    return json.dumps(call.lifecycle.pipelines.version(given["pipeline"]).definition, indent=1)


def _version(call: ToolCall, given: Mapping[str, str]) -> str:
    number = given["version"]
    if not number.isdecimal():
        raise MCPError(code=types.INVALID_PARAMS, message=f"{number!r} is not the number of a version")
    return json.dumps(call.lifecycle.pipelines.version(given["pipeline"], int(number)).definition, indent=1)


def _lineage(call: ToolCall, given: Mapping[str, str]) -> str:
    return call.lifecycle.catalog.lineage(given["name"]).model_dump_json(exclude_none=True)


def docs_folder() -> Path:
    """The documentation: inside the installed package, or next to it in a checkout."""
    here = Path(__file__).resolve().parents[1]
    return here / "docs" if (here / "docs").is_dir() else here.parent / "docs"


def _pages() -> Mapping[str, Path]:
    folder = docs_folder()
    found = [*folder.glob("*.md"), *folder.glob("how-to/*.md"), *folder.glob("reference/*.md")]
    return {one.relative_to(folder).with_suffix("").as_posix().replace("/", "-"): one for one in sorted(found)}


def _docs(_: ToolCall) -> Sequence[str]:
    return [f"{_SCHEME}docs/{name}" for name in _pages()]


def _doc(_call: ToolCall, given: Mapping[str, str]) -> str:
    name, _at, start = given["page"].partition("@")
    page = _pages().get(name)
    if page is None or not (start or "0").isdecimal():
        raise MCPError(code=NOT_FOUND, message=f"there is no page {name}")
    found = part(page.read_text(), int(start or 0))
    more = "" if found.following is None else f"\n\nContinued at {_SCHEME}docs/{name}@{found.following}\n"
    return found.text + more


def _of_tool(
    name: str, title: str, about: str, template: str, tool: str, argument: str, more: Mapping[str, object] | None = None
) -> Kind:
    """What a reading tool answers about `{name}`, given as `argument`; only where there is such a tool."""

    def ask(call: ToolCall, given: Mapping[str, str]) -> str:
        return invoke(find_tool(tool, call), call, {argument: given[name], **(more or {})}).text

    def shown(call: ToolCall) -> bool:
        return any(one.name == tool for one in tools_for(call.scopes))

    return Kind(name, title, about, _SCHEME + template, JSON, ask, shown=shown)


KINDS: tuple[Kind, ...] = (
    Kind(
        "pipeline",
        "Pipeline",
        "The definition of the newest version",
        f"{_SCHEME}pipelines/{{pipeline}}",
        JSON,
        _pipeline,
        _pipelines,
    ),
    Kind(
        "version",
        "Version of a pipeline",
        "The definition of one version",
        f"{_SCHEME}pipelines/{{pipeline}}/versions/{{version}}",
        JSON,
        _version,
    ),
    _of_tool("run", "Run", "A run with its steps and logs", "runs/{run}", "get_run", "run_id", {"logs": "info"}),
    _of_tool("table", "Table", "The columns of a table, and where it is", "tables/{table}", "get_table", "table"),
    Kind(
        "lineage",
        "Lineage",
        "What is upstream and downstream of a table or pipeline",
        f"{_SCHEME}lineage/{{name}}",
        JSON,
        _lineage,
    ),
    Kind("docs", "Documentation", "A page of the documentation", f"{_SCHEME}docs/{{page}}", MARKDOWN, _doc, _docs),
)
