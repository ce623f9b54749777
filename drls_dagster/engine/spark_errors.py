"""A Spark error as one line for people: where, what is wrong, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.python_words import python_words
from drls_dagster.engine.session import first_line
from drls_dagster.engine.spark_rare_words import RARE
from drls_dagster.engine.spark_words import CONDITIONS, OTHERWISE, PATTERNS, REMEDIES

if TYPE_CHECKING:
    from pyspark.errors import PySparkException

_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]")
_LINE = re.compile(r"\bline (\d+),? pos")
_WHERE = re.compile(r"\s*SQLSTATE: [0-9A-Z]{5}.*|; line \d+,? pos.*", re.DOTALL)
_STATE = re.compile(r"SQLSTATE: ([0-9A-Z]{5})")
# Advice that cannot be followed here: settings of Spark, its documentation, its switches for what ANSI forbids.
_USELESS = re.compile(r"\s*(?:If necessary|To |Please,? |You (?:can|may) )?[^.]*(?:spark\.\S+|https?://\S+)[^.]*\.?")
_LONGEST = 120


@dataclass(frozen=True)
class _Found:
    condition: str
    state: str
    parameters: Mapping[str, str]
    fragment: str
    line: int


def explain(error: PySparkException, node_id: str, sql: Mapping[str, str] | None = None) -> str:
    """One line about an error that a step met. `sql` has the SQL by node, to name the one that is at fault."""
    found = _read(error, str(error))
    words = known_words(error)
    if words is None:
        said = first_line(error)
        if "Spark" in said and "; " in said:
            return f"node '{node_id}': {said}"  # words of ours about a lost connection or executor
        said = _USELESS.sub("", _CONDITION.sub("", _WHERE.sub("", said))).strip(" .;")
        if not said or said.startswith("Job aborted"):  # which numbers the tasks of Spark, and quotes Java
            said = "Spark failed at this"
        words = said, REMEDIES.get(found.state[:2], OTHERWISE)
    what, remedy = (" ".join(part.split()) for part in words)
    return f"{_place(found, node_id, sql or {})}: {what}; {remedy}"


def known_words(error: PySparkException) -> tuple[str, str] | None:
    """What is wrong and what to do; None where we have no words of our own for it."""
    text = str(error)
    words = python_words(text) or _by_condition(_read(error, text)) or _by_pattern(text)
    return None if words is None else (" ".join(words[0].split()), " ".join(words[1].split()))


def _read(error: PySparkException, text: str) -> _Found:
    condition = str(error.getCondition() or "")
    parameters: Mapping[str, Any] = error.getMessageParameters() or {}
    if not condition and (named := _CONDITION.search(text)):
        condition, parameters = named[1], {}
    state = _STATE.search(text)
    line = _LINE.search(text)
    contexts = error.getQueryContext() or []
    fragments = [context.fragment() for context in contexts if context.fragment()]
    return _Found(
        condition,
        state[1] if state else "",
        {
            name: _plain(_path(str(value)) if name == "walkedTypePath" else str(value))
            for name, value in parameters.items()
        },
        fragments[0] if fragments else "",
        int(line[1]) if line else 0,
    )


def _path(value: str) -> str:
    """A column, which Spark writes with a name a line."""
    return ".".join(value.split())


def _plain(value: str) -> str:
    short = value.replace("`", "").replace('"', "")
    if re.match(r"\[[A-Za-z_].*\]$", short):
        short = short[1:-1]  # a list of names
    return short if len(short) <= _LONGEST else short[: _LONGEST - 1] + "…"


def _by_condition(found: _Found) -> tuple[str, str] | None:
    for known in (found.condition, found.condition.split(".")[0]):
        words = CONDITIONS.get(known) or RARE.get(known)
        if words is not None:
            break
    else:
        return None
    what, remedy = words
    try:
        return what.format_map(found.parameters), remedy.format_map(found.parameters)
    except KeyError:  # the parameters did not come with it
        return None


def _by_pattern(text: str) -> tuple[str, str] | None:
    for pattern, what, remedy in PATTERNS:
        match = re.search(pattern, text)
        if match:
            return what.format(*match.groups()), remedy
    return None


def _place(found: _Found, node_id: str, sql: Mapping[str, str]) -> str:
    """The node, the line of its SQL where it has several, and the piece of SQL, as far as they are known."""
    at_fault = [name for name, text in sql.items() if found.fragment and found.fragment in text]
    name = at_fault[0] if len(at_fault) == 1 else node_id
    place = f"node '{name}'" if name == node_id else f"node '{node_id}', from the SQL of node '{name}'"
    if found.line and name in at_fault and "\n" in sql[name].strip():
        place += f", line {found.line}"
    fragment = " ".join(found.fragment.split())
    return f"{place}, at {_plain(fragment)}" if 0 < len(fragment) <= _LONGEST else place
