"""What the tests of topics work with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab import Node

CANARY = "kanarienvogel-7f3a"  # the password, which must be nowhere but where it is set
VARIABLE = "BUS_PASSWORD_OF_THE_TESTS"
SCHEMA = {"id": "long", "customer": "string", "price": "decimal(12,2)", "at": "timestamp"}
# What code of a pipeline can ask Spark for: settings, and the plan of what it was given.
SPY = """
def transform(spark, orders):
    seen = [f"{row[0]} = {row[1]}" for row in spark.sql("SET -v").collect()]
    seen += [f"{row[0]} = {row[1]}" for row in spark.sql("SET").collect()]
    seen += [orders._explain_string(mode=mode) for mode in ("extended", "formatted", "codegen", "cost")]
    return spark.createDataFrame([(one,) for one in seen], "text string")
"""


def found_below(folder: Path, text: str) -> list[str]:
    """The files that have the text in them."""
    mark = text.encode()
    files = [one for one in folder.rglob("*") if one.is_file() and not one.is_symlink() and one.suffix != ".jar"]
    return [str(one.relative_to(folder)) for one in files if mark in one.read_bytes()]


def kafka(node: str, topic: str, connection: str = "bus", **more: Any) -> Node:
    source = {"kind": "kafka", "connection": connection, "topic": topic, **more}
    if source.get("format", "json") in ("json", "csv"):
        source.setdefault("schema", SCHEMA)
    return {"id": node, "type": "source", "source": source}


def order(number: int, **more: Any) -> str:
    """A message of SCHEMA."""
    text = {"id": number, "customer": f"c{number % 7}", "price": f"{number}.25", "at": "2024-01-01T00:00:00Z"}
    return json.dumps({**text, **more})


def orders(first: int, behind: int) -> list[str]:
    return [order(number) for number in range(first, behind)]
