"""docs/reference/settings.md, from drls_dagster.settings."""

from __future__ import annotations

import inspect
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from words import MADE, kind, table

from drls_dagster.settings import Settings

INTRODUCTION = """\
Write settings into `DRLS_HOME/drls.toml`, or set environment variables, which override the file. In a variable, lists
and tables are JSON: `DRLS_WEB__HOSTS='["drls.example"]'`. An unknown key in a section is an error.
"""
# Sections of which there is one for each name.
OF_EACH = {"environments": "<environment>", "connections": "<name>"}
# Variables that no field of Settings has.
VARIABLES = (
    ("DRLS_HOME", "Folder for everything that DRLS keeps; default: ~/.drls"),
    ("DRLS_TOKEN", "Token to act with, instead of the kept one"),
    ("DRLS_DEBUG", "`1` adds the traceback to an error"),
    ("DAGSTER_HOME", "Dagster's folder; `drls` sets it to DRLS_HOME/dagster for its processes"),
    ("RAY_ADDRESS", "An existing Ray cluster, unless `engine.ray_address` is set"),
    ("JAVA_HOME", "The JDK (17 or 21) to start Spark with"),
    ("PGUSER, PGPASSWORD", "User and password of a PostgreSQL catalog, unless the settings name them"),
    ("AWS_…", "Credentials and endpoint of S3 and Glue, unless `catalog` has them"),
)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ({}, ()):
        return ""
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def sections_of(annotation: Any) -> dict[str, type[BaseModel]]:
    """The section that a field of Settings holds: itself, optional, or one for each key; of several kinds by `kind`."""
    for one in (annotation, *typing.get_args(annotation)):
        if inspect.isclass(one) and issubclass(one, BaseModel):
            return {"": one}
        if typing.get_origin(one) is typing.Annotated:
            kinds = [typing.get_args(kind)[0] for kind in typing.get_args(typing.get_args(one)[0])]
            tags = [typing.get_args(kind.model_fields["kind"].annotation)[0] for kind in kinds]
            return {
                "" if at == 0 else f' with kind = "{tag}"': kind
                for at, (tag, kind) in enumerate(zip(tags, kinds, strict=True))
            }
    return {}


def settings() -> str:
    text = [
        "# Settings",
        MADE,
        INTRODUCTION,
        "## Top level\n",
    ]
    head = ("key", "variable", "type", "default", "meaning")
    top, sections = [], []
    for name, field in Settings.model_fields.items():
        found = sections_of(field.annotation)
        if found:
            sections += [(name, more, section) for more, section in found.items()]
        elif name != "home":
            top.append((f"`{name}`", f"`DRLS_{name.upper()}`", kind(field.annotation), default(field), meaning(field)))
    text += table(head, top)
    for name, more, section in sections:
        key = f"{name}.{OF_EACH[name]}" if name in OF_EACH else name
        text += [f"\n## [{key}]{more}\n", f"{inspect.getdoc(section)}\n"]
        if name == "oidc":
            text.append("Without this section, people sign in with local accounts only.\n")
        variable = f"DRLS_{name.upper()}" + (f"__{OF_EACH[name]}" if name in OF_EACH else "")
        text += rows(head, section, variable, key)
    text += [
        "\n## Other environment variables\n",
        *table(("variable", "meaning"), [(f"`{a}`", b) for a, b in VARIABLES]),
    ]
    return "\n".join(text) + "\n"


def rows(head: tuple[str, ...], section: type[BaseModel], variable: str, key: str) -> list[str]:
    """The table of a section, and the sections in it."""
    plain, inside = [], []
    for name, field in section.model_fields.items():
        found = sections_of(field.annotation)
        of_names = typing.get_origin(field.annotation) is dict
        for more, inner in found.items():
            below = (f"{key}.{name}.<name>", "") if of_names else (f"{key}.{name}", f"{variable}__{name.upper()}")
            inside += [
                f"\n## [{below[0]}]{more}\n",
                f"{inspect.getdoc(inner)}\n",
                *rows(head, inner, below[1], below[0]),
            ]
        if not found or of_names:
            where = f"`{variable}__{name.upper()}`" if variable else ""
            what = "tables, see below" if found else kind(field.annotation)
            plain.append((f"`{name}`", where, what, default(field), meaning(field)))
    return [*table(head, plain), *inside]


def meaning(field: FieldInfo) -> str:
    if not field.description:
        raise SystemExit(f"drls_dagster/settings.py: describe {field}")
    return field.description
