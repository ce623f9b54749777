"""docs/reference/rest.md, from FastAPI's description and the access tables of the sections."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from words import MADE, table

from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.rest.make_api import make_api
from lifecycle.app.kit.section import load_sections
from lifecycle.app.sections import SECTIONS

INTRODUCTION = """\
`drls up` and `drls serve` answer under `/api`. Send a token as `Authorization: Bearer …`, or a session's cookie. The
server describes every field at `/api/openapi.json`. Errors are `application/problem+json`.

*Role* is the least role that the caller needs, which the verb checks again for the pipeline concerned. *Scope* is the
scope that a token needs.
"""


_GOOD = ("200", "201", "202")


def rest() -> str:
    sections = load_sections(SECTIONS)
    document = make_api(None, sections, Parts()).openapi()  # type: ignore[arg-type]
    access = {route: need for section in sections for route, need in section.api.access.items()}
    text = [
        "# REST",
        MADE,
        INTRODUCTION,
    ]
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            need = access[method.upper(), path]
            said = (operation.get("description") or operation["summary"]).split("\n\n")[0]
            groups[operation.get("tags", ["other"])[0]].append(
                (
                    f"`{method.upper()} {path}`",
                    need.role.value if need.role else "any account" if need.signed_in else "none",
                    need.scope.value if need.signed_in else "",
                    model(operation.get("requestBody", {})),
                    model(next((operation["responses"][one] for one in _GOOD if one in operation["responses"]), {})),
                    said,
                )
            )
    head = ("verb", "role", "scope", "takes", "answers", "meaning")
    for group in sorted(groups):
        text += [f"## {group.title()}\n", *table(head, sorted(groups[group], key=order)), ""]
    return "\n".join(text)


def order(row: tuple[str, ...]) -> tuple[str, int]:
    method, _, path = row[0].strip("`").partition(" ")
    return path, ("GET", "POST", "PUT", "DELETE").index(method)


def model(body: dict[str, Any]) -> str:
    """The name of the model in a request or an answer."""
    for content in body.get("content", {}).values():
        schema = content.get("schema", {})
        name = re.search(r"'#/components/schemas/(\w+)'", str(schema))
        if name and (page := re.fullmatch(r"Page_(\w+)_", name[1])):
            return f"page of {page[1]}"
        if name:
            return f"list of {name[1]}" if schema.get("type") == "array" else name[1]
    return ""
