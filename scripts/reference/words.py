"""Markdown of the pages, and types in words."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, Literal

MADE = "\n<!-- Made by `make docs` from the code. Do not edit. -->\n"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(cell(one) for one in line)} |" for line in lines]


def kind(annotation: Any) -> str:
    """A type in words that a person who writes TOML knows."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(kind(one) for one in inner if one is not type(None))
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin is tuple:
        return f"list of {kind(inner[0])}"
    if origin is dict:
        return "table" if inner[1] is Any else f"table of {kind(inner[1])}"
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return words[annotation]
